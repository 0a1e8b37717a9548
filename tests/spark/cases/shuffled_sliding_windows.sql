-- input: shuffled
-- mode: append
-- watermark: ts 2 minutes
-- note: rows are out of order by more than the delay
SELECT window.start AS start, count(*) AS n, max(amount) AS most FROM shuffled GROUP BY window(ts, '10 minutes', '5 minutes')
