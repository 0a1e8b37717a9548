-- input: trips
-- static: sales
-- mode: append
SELECT t.id, g.first, g.last FROM trips t JOIN (SELECT card, min_by(array(id), ts) AS first, max_by(array(note), id) AS last FROM sales GROUP BY card) g ON t.card = g.card
