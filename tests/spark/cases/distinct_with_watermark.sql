-- input: clicks
-- mode: append
-- watermark: ts 10 minutes
SELECT DISTINCT page, ts FROM clicks
