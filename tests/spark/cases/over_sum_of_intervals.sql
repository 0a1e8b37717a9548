-- input: trips
-- mode: append
-- batch: yes
-- note: rows in order of time, no two of a card at once
SELECT id, CAST(sum(make_dt_interval(0, 0, units)) OVER w AS STRING) AS s, CAST(avg(make_dt_interval(0, 0, units)) OVER w AS STRING) AS a
FROM trips
WINDOW w AS (PARTITION BY card ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)
