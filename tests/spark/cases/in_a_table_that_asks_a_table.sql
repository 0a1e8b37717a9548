-- input: sales
-- static: blocked
-- mode: append
SELECT id, card FROM sales WHERE units = 5 OR card IN (SELECT card FROM blocked WHERE since IN (SELECT max(since) FROM blocked GROUP BY card))
