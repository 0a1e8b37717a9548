-- input: bodies
-- mode: append
SELECT id, inline_outer(CASE WHEN n > 0 THEN array(named_struct('x', n, 'y', a), NULL) WHEN m = 0 THEN array() END) AS (x, y) FROM bodies
