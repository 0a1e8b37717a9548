-- input: sales
-- static: blocked
-- mode: append
-- batch: yes
SELECT id, NOT EXISTS ((SELECT b.card FROM blocked b WHERE b.card = s.card)) AS free FROM sales s WHERE EXISTS ((SELECT 1 FROM blocked b WHERE b.card = s.card AND b.since < s.id ORDER BY b.since LIMIT 1))
