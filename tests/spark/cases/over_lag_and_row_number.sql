-- input: trips
-- mode: append
-- batch: yes
-- note: rows in order of time, no two of a card at once
SELECT id, lag(id) OVER w AS before, lag(units, 2) OVER w AS two, lag(amount, 3, -1.0D) OVER w AS three, row_number() OVER w AS nth
FROM trips
WINDOW w AS (PARTITION BY card ORDER BY ts)
