-- input: sales
-- static: blocked
-- mode: append
SELECT id FROM sales s WHERE s.card NOT IN (SELECT card FROM blocked b WHERE b.since < s.id)
