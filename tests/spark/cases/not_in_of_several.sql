-- input: sales
-- static: blocked
-- mode: append
-- note: a pair is not in the table where one of its values is known to be another
SELECT id FROM sales WHERE (card, units) NOT IN (SELECT card, since FROM blocked)
