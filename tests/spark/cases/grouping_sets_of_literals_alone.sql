-- input: sales
-- mode: complete
SELECT 1L AS one, x'' AS b, count(*) AS n FROM sales GROUP BY GROUPING SETS ((1L, x''), (1L), (x''), ()) HAVING 1L IS NULL OR x'' = x''
