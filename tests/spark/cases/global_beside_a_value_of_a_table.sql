-- input: sales
-- static: blocked
-- mode: complete
SELECT (SELECT max(since) FROM blocked) - count(*) AS n FROM sales
