-- input: old
-- mode: complete
SELECT window.start AS s, k, sum(v) AS v FROM old GROUP BY window(ts, '10 minutes'), k
