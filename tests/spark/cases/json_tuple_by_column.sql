-- input: bodies
-- mode: append
SELECT id, v.c0 AS first, v.c1 AS again, w.* FROM bodies LATERAL VIEW json_tuple(body, b, 'a') v LATERAL VIEW OUTER json_tuple(body, 'A', 'a', 'a') w AS x, y, z
