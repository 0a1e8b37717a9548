-- input: clicks
-- mode: append
-- watermark: ts 10 minutes
SELECT window.start AS s, first(usr) AS a, last(usr) AS b, collect_list(page) AS pages, avg(ms) AS m, stddev(ms) AS d FROM clicks GROUP BY window(ts, '5 minutes')
