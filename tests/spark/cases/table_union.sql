-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, b.since, b.how FROM sales s LEFT JOIN (
  SELECT card, since, 'list' AS how FROM blocked
  UNION ALL SELECT col1, col2, 'text' FROM VALUES ('a', 7), ('c', NULL), (NULL, 3)
) b ON b.card = s.card
