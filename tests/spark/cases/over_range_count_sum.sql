-- input: trips
-- mode: append
-- batch: yes
-- note: rows in order of time, no two of a card at once
SELECT id, count(*) OVER w AS n, count(units) OVER w AS some, sum(units) OVER w AS units, sum(amount) OVER w AS amount, sum(price) OVER w AS price
FROM trips
WINDOW w AS (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 5 MINUTES PRECEDING AND CURRENT ROW)
