-- input: clicks
-- mode: complete
SELECT window.start AS s, usr, count(*) AS n FROM clicks GROUP BY window(ts, '5 minutes'), usr
