-- input: huge
-- mode: complete
SELECT k, sum(s) AS s, avg(s) AS m FROM huge GROUP BY k
