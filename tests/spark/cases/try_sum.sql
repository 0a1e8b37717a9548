-- input: huge
-- mode: complete
SELECT k, try_sum(n) AS n, try_sum(d) AS d, try_sum(s) AS s, try_avg(n) AS an, try_avg(d) AS ad, try_sum(n) FILTER (WHERE n < 5) AS some FROM huge GROUP BY k
