-- input: sales
-- mode: complete
SELECT paid, median(ts - TIMESTAMP'2026-01-01 00:00:00') AS m, percentile(ts - TIMESTAMP'2026-01-01 00:00:00', array(0.0, 0.9)) AS p, percentile_disc(0.5) WITHIN GROUP (ORDER BY ts - TIMESTAMP'2026-01-01 00:00:00') AS d FROM sales GROUP BY paid
