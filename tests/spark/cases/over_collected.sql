-- input: trips
-- mode: append
-- batch: yes
-- note: rows in order of time, no two of a card at once
SELECT id, max_by(place, units) OVER w AS a, bool_or(units > 7) OVER w AS b, round(corr(amount, units) OVER w, 9) AS c, regr_count(amount, units) OVER w AS d, bit_xor(units) OVER w AS e, try_sum(units) FILTER (WHERE amount > 1) OVER w AS f, max_by(id, ts, 2) OVER w AS g, skewness(units) OVER w AS h
FROM trips
WINDOW w AS (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 10 MINUTES PRECEDING AND CURRENT ROW)
