-- input: sales
-- static: blocked
-- mode: append
SELECT id FROM sales s WHERE EXISTS (SELECT count(*) FROM blocked b WHERE b.card = s.card AND s.id = 3 GROUP BY b.card HAVING count(*) > 0)
  OR (SELECT count(*) FROM blocked b WHERE b.card = s.card AND s.id = 2) > 0
