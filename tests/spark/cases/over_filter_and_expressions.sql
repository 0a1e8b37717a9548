-- input: trips
-- mode: append
-- batch: yes
-- note: rows in order of time, no two of a card at once
SELECT id, count_if(amount > 1) OVER w AS many, sum(units) FILTER (WHERE place = 'shop') OVER w AS shop, round(amount / avg(amount) OVER w, 3) AS ratio
FROM trips
WINDOW w AS (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 10 MINUTES PRECEDING AND CURRENT ROW)
