-- input: sales
-- mode: append
SELECT id, d FROM sales, LATERAL (SELECT units + 1 AS c), LATERAL (SELECT c * 2 AS d)
