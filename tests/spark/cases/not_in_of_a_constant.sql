-- input: sales
-- static: blocked
-- mode: append
-- note: a NULL in the table makes it true for no row, also where nothing of the row is compared
SELECT id FROM sales WHERE 'q' NOT IN (SELECT card FROM blocked) OR id < 3 AND 'q' NOT IN (SELECT card FROM blocked WHERE card IS NOT NULL)
