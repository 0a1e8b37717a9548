-- input: sales
-- static: blocked
-- mode: append
SELECT id FROM sales WHERE NOT (card NOT IN (SELECT card FROM blocked))
