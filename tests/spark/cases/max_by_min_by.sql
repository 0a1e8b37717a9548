-- input: sales
-- mode: complete
SELECT card, max_by(note, units) AS a, min_by(note, units) AS b FROM sales GROUP BY card
