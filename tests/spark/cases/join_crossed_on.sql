-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, b.since FROM sales s CROSS JOIN blocked b ON s.card = b.card
