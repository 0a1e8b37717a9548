-- input: sales
-- mode: append
-- note: structs are compared field by field whatever the fields are called; NULL in one is a value like others
SELECT id, (card, units) IN (('a', 3), ('b', 1)) AS known, (card, units) = ('a', 3) AS first, (card, units) < ('b', 2) AS before,
  CASE struct(card) WHEN struct('a') THEN 'a' END AS which
FROM sales WHERE (card, units) NOT IN (('b', 2), ('c', 4)) OR card IS NULL
