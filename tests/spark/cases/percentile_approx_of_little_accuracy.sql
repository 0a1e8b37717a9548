-- input: numbers
-- mode: complete
SELECT percentile_approx(n, array(0.05, 0.25, 0.5, 0.75, 0.95), 10) AS ten, percentile_approx(n, array(0.05, 0.25, 0.5, 0.75, 0.95), 50) AS fifty FROM numbers
