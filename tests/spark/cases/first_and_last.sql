-- input: sales
-- mode: complete
SELECT card, first(note) AS a, last(note) AS b, first(note, true) AS c, last(note, true) AS d, first_value(units) AS e, last_value(units) IGNORE NULLS AS f FROM sales GROUP BY card
