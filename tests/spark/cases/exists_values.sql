-- input: sales
-- mode: append
SELECT s.id FROM sales s WHERE EXISTS (SELECT 1 FROM VALUES ('a', 10), ('b', 20) AS l(card, least) WHERE l.card = s.card AND l.least > 5 AND s.units <= l.least) AND NOT EXISTS (SELECT * FROM VALUES (DATE '2026-01-01') AS h(day) WHERE h.day = s.day)
