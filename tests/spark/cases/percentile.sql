-- input: numbers
-- mode: complete
SELECT k, percentile(n, 0.25) AS q1, percentile(x, 0.9) AS p90, percentile(price, array(0.0, 0.5, 1.0)) AS several, percentile(n, 1) AS most
FROM numbers GROUP BY k
