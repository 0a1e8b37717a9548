-- input: sales
-- static: blocked
-- mode: append
SELECT id, units - (SELECT avg(since) FROM blocked) AS more FROM sales WHERE id > (SELECT min(since) + 2 FROM blocked)
