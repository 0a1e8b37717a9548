-- input: sales
-- mode: complete
SELECT card, percentile(amount, 0.5, abs(coalesce(units, 1))) AS a, percentile(id, array(0.1, 0.75), CASE WHEN paid THEN 4 ELSE 0 END) AS b FROM sales GROUP BY card
