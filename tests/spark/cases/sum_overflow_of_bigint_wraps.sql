-- input: huge
-- mode: complete
-- ansi: false
SELECT k, sum(n) AS s FROM huge GROUP BY k
