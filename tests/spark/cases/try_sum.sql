-- input: huge
-- mode: complete
SELECT k, try_sum(n) AS s, try_avg(n) AS m FROM huge GROUP BY k
