-- input: sales
-- mode: append
SELECT id, hour(ts) AS hour, timestampdiff(HOUR, TIMESTAMP'2026-01-01 00:00:00', ts) AS h, timestampadd(DAY, 1, ts) AS d, datediff(MONTH, day, DATE'2026-06-01') AS m,
  date_trunc('DAY', ts) AS t FROM (SELECT id, ts, day, 7 AS month FROM sales)
