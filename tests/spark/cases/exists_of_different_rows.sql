-- input: sales
-- static: blocked
-- mode: append
SELECT id FROM sales s WHERE NOT EXISTS (SELECT DISTINCT b.card FROM blocked b WHERE b.card = s.card)
