-- input: trips
-- mode: append
-- batch: yes
-- note: rows in order of time, no two of a card at once
SELECT id, first_value(amount) OVER w AS first, first_value(amount) IGNORE NULLS OVER w AS known, last_value(units) IGNORE NULLS OVER w AS newest, any_value(place) OVER w AS any
FROM trips
WINDOW w AS (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 5 MINUTES PRECEDING AND CURRENT ROW)
