-- input: trips
-- mode: append
-- batch: yes
-- note: rows in order of time, no two of a card at once
SELECT id, count(*) OVER w AS n, sum(units) OVER w AS units
FROM trips
WINDOW w AS (ORDER BY id RANGE BETWEEN 3 PRECEDING AND CURRENT ROW)
