-- input: sales
-- static: blocked
-- mode: append
SELECT id FROM sales s WHERE s.units > 4 OR s.card IN (SELECT card FROM blocked WHERE since > 4)
