-- input: sales
-- static: blocked
-- mode: append
SELECT id FROM sales WHERE card NOT IN (SELECT card FROM blocked WHERE card IS NOT NULL UNION ALL SELECT 'zz')
