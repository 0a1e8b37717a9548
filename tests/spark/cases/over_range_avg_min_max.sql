-- input: trips
-- mode: append
-- batch: yes
-- note: rows in order of time, no two of a card at once
SELECT id, avg(units) OVER w AS mean, avg(price) OVER w AS price, min(amount) OVER w AS least, max(place) OVER w AS most
FROM trips
WINDOW w AS (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 10 MINUTES PRECEDING AND CURRENT ROW)
