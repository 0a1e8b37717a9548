-- input: sales
-- mode: append
SELECT id FROM sales WHERE (card, paid) IN (SELECT * FROM VALUES ('a', true), ('b', false), (NULL, true)) AND amount > 0
