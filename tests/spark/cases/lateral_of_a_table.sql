-- input: sales
-- static: blocked
-- mode: append
SELECT id, b.since FROM sales s, LATERAL (SELECT since FROM blocked b WHERE b.card = s.card) b
