-- input: clicks
-- mode: append
-- watermark: ts 10 minutes
SELECT window.start AS s, window.end AS e, count(*) AS n FROM clicks GROUP BY window(ts, '10 minutes', '5 minutes')
