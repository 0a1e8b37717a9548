-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, b.card FROM sales s JOIN (SELECT DISTINCT card FROM blocked) b ON b.card = s.card
