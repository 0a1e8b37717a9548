-- input: trips
-- mode: append
-- batch: yes
-- note: rows in order of time, no two of a card at once
SELECT id, count(*) OVER w AS n, sum(amount) OVER w AS amount, last_value(units) OVER w AS newest
FROM trips
WINDOW w AS (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 10 MINUTES PRECEDING AND INTERVAL 1 MINUTE PRECEDING)
