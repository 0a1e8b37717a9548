-- input: sales
-- static: blocked
-- mode: append
-- batch: yes
SELECT id FROM sales s WHERE s.units IN (SELECT DISTINCT b.since + 1 FROM blocked b WHERE b.card = s.card) AND s.id NOT IN (SELECT b.since FROM blocked b WHERE b.since > s.units GROUP BY b.since)
