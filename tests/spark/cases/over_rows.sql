-- input: trips
-- mode: append
-- batch: yes
-- note: rows in order of time, no two of a card at once
SELECT id, count(*) OVER w AS n, sum(units) OVER w AS units, avg(amount) OVER w AS mean, min(price) OVER w AS least, max(units) OVER w AS most
FROM trips
WINDOW w AS (PARTITION BY card ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)
