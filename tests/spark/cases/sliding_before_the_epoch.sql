-- input: old
-- mode: complete
SELECT window.start AS s, sum(v) AS v FROM old GROUP BY window(ts, '10 minutes', '4 minutes', '1 minute')
