-- input: sales
-- static: blocked
-- mode: append
-- batch: yes
SELECT id FROM sales s WHERE EXISTS (SELECT card FROM blocked b WHERE b.card = s.card AND b.since > 1 UNION ALL SELECT card FROM blocked WHERE since = s.id)
