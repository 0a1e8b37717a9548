-- input: sales
-- static: blocked
-- mode: append
SELECT id, (card, units) IN (SELECT card, since FROM blocked) AS a, (card, units) NOT IN (SELECT card, since FROM blocked WHERE since > 1) AS b FROM sales
