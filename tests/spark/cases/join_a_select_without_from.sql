-- input: sales
-- mode: append
SELECT id, x FROM sales CROSS JOIN (SELECT 1 AS x)
