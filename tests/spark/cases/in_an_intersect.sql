-- input: sales
-- static: blocked
-- mode: append
SELECT id FROM sales WHERE card IN (SELECT card FROM blocked INTERSECT SELECT col1 FROM VALUES ('b'), ('c'))
