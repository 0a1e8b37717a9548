-- input: clicks
-- mode: append
-- watermark: ts 10 minutes
SELECT window.start AS s, count(*) AS n, max(ms) AS m FROM clicks GROUP BY window(ts, '7 minutes', '3 minutes')
