-- input: clicks
-- mode: append
-- watermark: ts 10 minutes
SELECT window(window_time(w), '10 minutes') AS hour, sum(n) AS n, max(n) AS busiest FROM (SELECT window(ts, '5 minutes') AS w, count(*) AS n FROM clicks GROUP BY window(ts, '5 minutes')) GROUP BY window(window_time(w), '10 minutes')
