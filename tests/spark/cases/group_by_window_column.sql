-- input: clicks
-- mode: append
-- watermark: ts 10 minutes
SELECT w, usr, count(*) AS n FROM (SELECT window(ts, '10 minutes', '5 minutes') AS w, usr FROM clicks) GROUP BY w, usr
