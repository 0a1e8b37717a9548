-- input: sales
-- mode: complete
SELECT card, paid, count(*) AS n FROM sales GROUP BY card, paid
