-- input: trips
-- mode: append
-- batch: yes
-- note: rows in order of time, no two of a card at once
SELECT id, max_by(array(units), units) OVER w AS most, min_by(array(id, units), amount) OVER w AS cheapest
FROM trips
WINDOW w AS (PARTITION BY card ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)
