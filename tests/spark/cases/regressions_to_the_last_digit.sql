-- input: numbers
-- mode: complete
SELECT k, regr_r2(x, n) AS r2, regr_r2(n, day(day)) AS r2_of_days, regr_sxy(x, n) AS sxy, regr_sxy(price, day(day)) AS sxy_of_days, regr_sxy(n, 1) AS flat FROM numbers GROUP BY k
