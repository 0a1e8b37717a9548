-- input: sales
-- static: blocked
-- mode: append
SELECT id FROM sales WHERE card IN (SELECT card FROM blocked GROUP BY card HAVING count(*) > 1)
