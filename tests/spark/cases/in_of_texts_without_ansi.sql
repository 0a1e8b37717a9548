-- input: sales
-- mode: append
-- ansi: false
SELECT id, units IN ('7', 'x') AS a, units IN ('07') AS b, card IN (1, 2) AS c, day IN ('2026-01-01', 'z') AS d, units NOT IN ('1', '') AS e, units IN (1, 2.5) AS f FROM sales
