-- input: sales
-- mode: complete
SELECT units, stddev(id) AS s, stddev_pop(id) AS p, variance(id) AS v FROM sales WHERE id IN (1, 2, 5) GROUP BY units
