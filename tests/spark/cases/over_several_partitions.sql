-- input: trips
-- mode: append
-- batch: yes
-- note: rows in order of time, no two of a card at once
SELECT id, count(*) OVER (PARTITION BY place ORDER BY ts ROWS 2 PRECEDING) AS near, sum(units) OVER (PARTITION BY card, place ORDER BY ts) AS total,
  max(amount) OVER (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 5 MINUTES PRECEDING AND CURRENT ROW) AS most
FROM trips
