-- input: sales
-- static: blocked
-- mode: append
-- batch: yes
SELECT id FROM sales s WHERE EXISTS (SELECT b.card FROM blocked b WHERE b.card = s.card AND b.since < s.id LIMIT 1)
