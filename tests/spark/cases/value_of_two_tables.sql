-- input: sales
-- static: blocked
-- mode: append
-- batch: yes
SELECT id, (SELECT count(*) FROM blocked a, blocked b WHERE a.card = s.card AND b.since < a.since) AS n FROM sales s WHERE EXISTS (SELECT 1 FROM blocked a, blocked b WHERE a.card = s.card AND a.since < b.since)
