-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, s.units - b.mean AS more FROM sales s CROSS JOIN (SELECT avg(since) AS mean FROM blocked) b
