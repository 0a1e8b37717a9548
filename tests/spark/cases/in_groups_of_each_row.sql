-- input: sales
-- static: blocked
-- mode: append
-- batch: yes
SELECT id FROM sales s WHERE s.units IN (SELECT count(*) + 1 FROM blocked b WHERE b.card = s.card GROUP BY b.since) OR s.units NOT IN (SELECT max(b.since) FROM blocked b WHERE b.card = s.card GROUP BY b.since HAVING max(b.since) > 0)
