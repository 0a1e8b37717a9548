-- input: sales
-- mode: complete
SELECT card, count(*) AS n FROM sales GROUP BY card HAVING count(*) > 1 AND max(units) IS NOT NULL
