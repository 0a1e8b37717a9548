-- input: huge
-- mode: complete
-- ansi: false
SELECT k, sum(d) AS s FROM huge GROUP BY k
