-- input: trips
-- mode: append
-- batch: yes
-- note: rows in order of time, no two of a card at once
SELECT id, count(*) OVER w AS n, sum(amount) OVER w AS amount, avg(price) OVER w AS price, min(units) OVER w AS least, max(place) OVER w AS most
FROM trips
WINDOW w AS (PARTITION BY card ORDER BY ts)
