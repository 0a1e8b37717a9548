-- input: sales
-- static: blocked
-- mode: append
SELECT id FROM sales WHERE card NOT IN (SELECT card FROM blocked)
