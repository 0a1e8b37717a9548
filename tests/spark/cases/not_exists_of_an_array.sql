-- input: sales
-- mode: append
SELECT id, NOT exists(array(units, id), x -> x = 2) AS n FROM sales WHERE id > 2 AND NOT exists(array(card), x -> x = 'b')
