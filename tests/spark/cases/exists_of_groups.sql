-- input: sales
-- static: blocked
-- mode: append
SELECT id, EXISTS (SELECT b.card FROM blocked b WHERE b.card = s.card GROUP BY b.card) AS any FROM sales s
WHERE EXISTS (SELECT b.card FROM blocked b WHERE b.card = s.card GROUP BY b.card HAVING count(*) > 1)
  OR EXISTS (SELECT since FROM blocked WHERE since = s.id GROUP BY since, card HAVING min(since) > 4)
