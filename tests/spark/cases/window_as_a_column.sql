-- input: clicks
-- mode: append
-- watermark: ts 10 minutes
-- note: a row for each window that holds its time
SELECT usr, window(ts, '10 minutes', '5 minutes') AS w, unix_micros(window(ts, '10 minutes', '5 minutes').start) AS s FROM clicks WHERE ms > 100
