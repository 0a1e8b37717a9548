-- input: sales
-- static: blocked
-- mode: append
SELECT id, card IN (SELECT card FROM blocked) AS b, card NOT IN (SELECT card FROM blocked WHERE since > 1 AND card IS NOT NULL) AS n FROM sales
