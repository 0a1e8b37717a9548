-- input: numbers
-- mode: complete
SELECT k, percentile_approx(n, 0.5) AS n, approx_percentile(x, 0.99) AS x, percentile_approx(price, array(0.1, 0.5)) AS price,
  percentile_approx(day, 0.25) AS day, percentile_approx(ts, 0.75) AS ts
FROM numbers GROUP BY k
