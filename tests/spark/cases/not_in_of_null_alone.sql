-- input: sales
-- static: blocked
-- mode: append
SELECT id FROM sales WHERE CAST(NULL AS INT) NOT IN (SELECT since FROM blocked WHERE since > 100) AND 7 NOT IN (SELECT since FROM blocked)
