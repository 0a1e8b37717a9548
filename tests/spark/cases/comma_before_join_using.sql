-- input: sales
-- static: blocked
-- mode: append
SELECT * FROM (SELECT id, card FROM sales) s, (SELECT since FROM blocked) a JOIN blocked b USING (card)
