-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, b.card FROM sales s JOIN (
  SELECT card FROM blocked EXCEPT SELECT col1 FROM VALUES ('a'), ('q')
) b ON b.card <=> s.card
