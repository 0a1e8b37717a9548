-- input: clicks
-- mode: append
-- watermark: ts 10 minutes
SELECT ts, count(*) AS n FROM clicks GROUP BY ts
