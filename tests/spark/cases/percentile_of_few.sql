-- input: sales
-- mode: complete
SELECT card, percentile(units, 0.5) AS half, median(amount) AS mid, percentile_approx(units, 0.5) AS approx FROM sales GROUP BY card
