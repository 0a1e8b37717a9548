-- input: sales
-- static: blocked
-- mode: append
SELECT id FROM sales s WHERE NOT EXISTS (SELECT 1 FROM blocked WHERE card = s.card GROUP BY card HAVING count(*) > 1)
