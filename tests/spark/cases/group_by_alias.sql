-- input: sales
-- mode: complete
SELECT year(day) AS y, count(*) AS n FROM sales GROUP BY y
