-- input: sales
-- mode: append
SELECT id, coalesce(x, price) AS price, coalesce(x, array(units)) AS a, greatest(x, price) AS g, CASE WHEN id > 4 THEN x ELSE units END AS u, x
FROM (SELECT id, price, units, NULL AS x FROM sales)
