-- input: sales
-- static: blocked
-- mode: append
SELECT * FROM (SELECT id, card FROM sales) NATURAL LEFT JOIN blocked
