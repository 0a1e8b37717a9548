-- input: bodies
-- mode: append
SELECT id, s.col0 AS name, s.col1 AS value FROM bodies LATERAL VIEW stack(2, 'n', n, 'm', m) s WHERE s.col1 IS NOT NULL
