-- input: clicks
-- mode: append
-- watermark: ts 10 minutes
SELECT window(ts, '5 minutes') AS w, usr, count(*) AS n FROM clicks GROUP BY window(ts, '5 minutes'), usr
