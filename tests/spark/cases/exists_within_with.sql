-- input: sales
-- static: blocked
-- mode: append
SELECT id FROM sales s WHERE EXISTS (WITH c AS (SELECT card FROM blocked WHERE since > 4), d AS (SELECT * FROM c) SELECT 1 FROM d WHERE d.card = s.card)
