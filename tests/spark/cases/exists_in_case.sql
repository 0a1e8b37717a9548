-- input: sales
-- static: blocked
-- mode: append
SELECT id, CASE WHEN EXISTS (SELECT 1 FROM blocked b WHERE b.card = s.card AND b.since < s.id) THEN 'no' ELSE 'yes' END AS ok FROM sales s
