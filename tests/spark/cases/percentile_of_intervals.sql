-- input: sales
-- mode: complete
SELECT paid, CAST(median(ts - TIMESTAMP'2026-01-01 00:00:00') AS STRING) AS m, CAST(percentile(ts - TIMESTAMP'2026-01-01 00:00:00', 0.9) AS STRING) AS p, CAST(percentile_disc(0.5) WITHIN GROUP (ORDER BY ts - TIMESTAMP'2026-01-01 00:00:00') AS STRING) AS d FROM sales GROUP BY paid
