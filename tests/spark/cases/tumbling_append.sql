-- input: clicks
-- mode: append
-- watermark: ts 10 minutes
SELECT window.start AS s, window.end AS e, count(*) AS n, sum(ms) AS ms FROM clicks GROUP BY window(ts, '5 minutes')
