-- input: sales
-- mode: append
SELECT id, card FROM sales UNION ALL SELECT id, card FROM sales UNION ALL SELECT id, note FROM sales WHERE id < 3
