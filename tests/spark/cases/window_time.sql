-- input: clicks
-- mode: append
-- watermark: ts 10 minutes
SELECT window_time(w) AS t, n FROM (SELECT window AS w, count(*) AS n FROM clicks GROUP BY window(ts, '5 minutes'))
