-- input: sales
-- static: blocked
-- mode: append
SELECT id FROM sales WHERE card IN (SELECT card FROM blocked UNION ALL SELECT 'c' FROM blocked)
