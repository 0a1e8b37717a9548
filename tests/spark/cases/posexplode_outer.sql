-- input: bodies
-- mode: append
SELECT id, posexplode_outer(filter(split(a, ','), x -> x <> '')) AS (at, part) FROM bodies
