-- input: sales
-- mode: append
SELECT id, t.p FROM sales, LATERAL (SELECT units + 1) AS t(p)
