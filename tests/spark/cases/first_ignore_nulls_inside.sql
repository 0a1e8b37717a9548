-- input: sales
-- mode: complete
SELECT first(units IGNORE NULLS), last(note IGNORE NULLS) AS l, any_value(card IGNORE NULLS) AS a FROM (SELECT * FROM sales WHERE id IN (3, 7))
