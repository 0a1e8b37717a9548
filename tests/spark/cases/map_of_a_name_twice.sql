-- input: bodies
-- mode: append
SELECT id, map_keys(m) AS names, m['a'] AS first, size(m) AS n, to_json(m) AS again, map_values(map_filter(m, (k, v) -> v > 1)) AS more FROM (SELECT id, from_json('{"a":1,"b":2,"a":3}', 'MAP<STRING, INT>') AS m FROM bodies)
