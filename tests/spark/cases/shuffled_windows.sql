-- input: shuffled
-- mode: append
-- watermark: ts 2 minutes
-- note: rows are out of order by more than the delay
SELECT window, usr, count(*) AS n, sum(amount) AS amount FROM shuffled GROUP BY window(ts, '5 minutes'), usr
