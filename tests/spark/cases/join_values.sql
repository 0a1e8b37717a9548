-- input: sales
-- mode: append
SELECT s.id, c.name, c.rank FROM sales s JOIN (VALUES ('a', 'Anna', 1), ('b', NULL, 2.5), ('b', 'Ben', 3)) AS c(card, name, rank) ON s.card = c.card
