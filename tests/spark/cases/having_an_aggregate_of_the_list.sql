-- input: sales
-- mode: complete
SELECT card, sum(units) / count(units) AS mean, sum(units) AS units FROM sales GROUP BY card HAVING count(units) > 1 AND mean > 0
