-- input: numbers
-- mode: complete
SELECT k, regr_count(x, n) AS c, regr_avgx(x, price) AS ax, regr_avgy(price, x) AS ay, regr_sxx(price, n) AS sxx, regr_syy(price, n) AS syy, regr_sxy(price, n) AS sxy, round(regr_slope(n, day(day)), 9) AS slope, round(regr_intercept(n, day(day)), 6) AS intercept, round(regr_r2(n, day(day)), 9) AS r2, regr_r2(1, n) AS flat, regr_slope(n, 1) AS upright
FROM numbers GROUP BY k
