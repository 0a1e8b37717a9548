-- input: sales
-- mode: append
WITH names AS (SELECT upper(k) AS card, v.name FROM VALUES ('A', named_struct('name', 'Anna')), ('c', NULL) AS t(k, v)) SELECT s.id, s.card, n.name FROM sales s LEFT JOIN names n ON upper(s.card) = n.card
