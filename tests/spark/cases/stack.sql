-- input: bodies
-- mode: append
SELECT id, stack(3, 'a', a, 1, 'b', b, NULL, 'none') AS (name, value, rank) FROM bodies
