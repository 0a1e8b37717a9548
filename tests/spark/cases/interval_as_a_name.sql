-- input: sales
-- mode: append
SELECT id, interval, CASE WHEN id = 3 THEN interval ELSE 0 END AS c, if(interval > 3, 1, 0) AS i, CAST(interval AS STRING) AS s, interval + 1 AS p, ts + INTERVAL 1 DAY AS d,
  day + INTERVAL '2' DAY AS e FROM (SELECT id, units AS interval, ts, day FROM sales) WHERE interval IS NOT NULL
