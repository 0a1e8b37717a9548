-- input: sales
-- static: blocked
-- mode: append
SELECT id FROM sales WHERE 'q' NOT IN (SELECT card FROM blocked)
