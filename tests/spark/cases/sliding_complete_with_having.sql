-- input: clicks
-- mode: complete
SELECT window.start AS s, page, count(*) AS n FROM clicks GROUP BY window(ts, '10 minutes', '5 minutes'), page HAVING count(*) > 1
