-- input: sales
-- mode: complete
SELECT amount, count(*) AS n FROM (SELECT CASE WHEN id = 1 THEN double('NaN') WHEN id = 2 THEN float('NaN') WHEN id = 3 THEN -0.0D WHEN id = 4 THEN 0.0D ELSE 1.0D END AS amount FROM sales) GROUP BY amount
