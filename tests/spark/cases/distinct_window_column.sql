-- input: clicks
-- mode: update
-- watermark: ts 10 minutes
SELECT DISTINCT window(ts, '5 minutes') AS w FROM clicks
