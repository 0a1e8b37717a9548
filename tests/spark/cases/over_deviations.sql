-- input: trips
-- mode: append
-- batch: yes
-- note: rows in order of time, no two of a card at once
SELECT id, stddev(amount) OVER w AS a, stddev_pop(units) OVER w AS b, variance(units) OVER w AS c, var_pop(amount) OVER w AS d
FROM trips
WINDOW w AS (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 10 MINUTES PRECEDING AND CURRENT ROW)
