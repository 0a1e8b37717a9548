-- input: sales
-- static: blocked
-- mode: append
SELECT id FROM sales s WHERE EXISTS (SELECT * FROM blocked b WHERE b.card = s.card AND b.since <= s.id)
