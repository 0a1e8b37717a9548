-- input: numbers
-- mode: complete
SELECT k, percentile_cont(0.3) WITHIN GROUP (ORDER BY n) AS a, percentile_cont(0.3) WITHIN GROUP (ORDER BY n DESC) AS b, percentile_disc(0.3) WITHIN GROUP (ORDER BY price) AS c, percentile_disc(array(0.0, 0.5, 0.99, 1.0)) WITHIN GROUP (ORDER BY x DESC) AS d, percentile_disc(0.5) WITHIN GROUP (ORDER BY n) FILTER (WHERE n > 500) AS e
FROM numbers GROUP BY k
