-- input: sales
-- static: blocked
-- mode: complete
SELECT card, count(*) AS n FROM sales GROUP BY card HAVING NOT card IN (SELECT card FROM blocked WHERE card IS NOT NULL)
