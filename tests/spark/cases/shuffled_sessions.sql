-- input: shuffled
-- mode: append
-- watermark: ts 2 minutes
-- note: rows are out of order by more than the delay
SELECT usr, session_window, count(*) AS n FROM shuffled GROUP BY usr, session_window(ts, '3 minutes')
