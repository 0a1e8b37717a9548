-- input: sales
-- static: blocked
-- mode: append
SELECT id, card FROM sales WHERE card IN (SELECT card FROM blocked WHERE since NOT IN (SELECT since FROM blocked WHERE card = 'b'))
