-- input: sales
-- static: blocked
-- mode: append
SELECT id FROM sales WHERE NOT (id > 8 OR card IN (SELECT card FROM blocked WHERE card IS NOT NULL))
