-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, b.card, b.since FROM sales s JOIN (
  SELECT card, since FROM blocked INTERSECT SELECT col1, col2 FROM VALUES ('a', 2), ('b', 1), ('b', 1), (NULL, 5), ('z', 9)
) b ON b.card <=> s.card
