-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, b.card FROM sales s LEFT JOIN blocked b ON s.units > b.since
