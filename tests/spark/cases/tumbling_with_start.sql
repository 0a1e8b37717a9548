-- input: clicks
-- mode: append
-- watermark: ts 10 minutes
SELECT window.start AS s, count(*) AS n FROM clicks GROUP BY window(ts, '5 minutes', '5 minutes', '2 minutes')
