-- input: numbers
-- mode: complete
SELECT k, approx_count_distinct(n, 0.01) AS fine, approx_count_distinct(n, 0.1) AS coarse, approx_count_distinct(day, 0.2) AS days, approx_count_distinct(ts, 0.39) AS times
FROM numbers GROUP BY k
