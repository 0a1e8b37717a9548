-- input: sales
-- mode: complete
SELECT card, stddev(units) AS a, stddev_samp(units) AS b, stddev_pop(units) AS c, variance(units) AS d, var_samp(units) AS e, var_pop(units) AS f FROM sales GROUP BY card
