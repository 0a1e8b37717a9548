-- input: sales
-- mode: append
SELECT id, c FROM sales, LATERAL (SELECT units + small AS c)
