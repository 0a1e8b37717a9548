-- input: bodies
-- mode: append
SELECT id, json_tuple(body, 'a', 'b', 'c', 'd', '') FROM bodies
