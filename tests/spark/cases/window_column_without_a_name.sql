-- input: old
-- mode: append
-- note: rows without a time are dropped
SELECT k, window(ts, '10 minutes'), window(ts, '10 minutes').end, year(window(ts, '10 minutes').start) FROM old
