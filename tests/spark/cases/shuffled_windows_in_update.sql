-- input: shuffled
-- mode: update
-- watermark: ts 2 minutes
-- note: rows are out of order by more than the delay
SELECT window, usr, count(*) AS n FROM shuffled GROUP BY window(ts, '10 minutes'), usr
