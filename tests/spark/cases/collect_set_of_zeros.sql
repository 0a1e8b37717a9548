-- input: sales
-- mode: complete
-- note: -0.0 and 0.0 are one value, and it is 0.0
SELECT card, collect_set(zero) AS zeros FROM (SELECT card, CASE WHEN id < 6 THEN -0.0D ELSE 0.0D END AS zero FROM sales) GROUP BY card
