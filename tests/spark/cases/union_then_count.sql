-- input: clicks
-- mode: complete
SELECT page, count(*) AS n FROM (SELECT page FROM clicks UNION ALL SELECT usr AS page FROM clicks) GROUP BY page
