-- input: trips
-- mode: append
-- batch: yes
-- note: rows in order of time, no two of a card at once
SELECT id, count(*) OVER w AS n, sum(amount) OVER w AS amount, max(place) OVER w AS most
FROM trips
WINDOW w AS (PARTITION BY card ORDER BY ts ROWS BETWEEN 4 PRECEDING AND 2 PRECEDING)
