-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, d.since, d.other FROM sales s
  LEFT JOIN (SELECT b.card, b.since, o.since AS other FROM blocked b LEFT JOIN blocked o ON b.card = o.card AND o.since < b.since) d ON s.card = d.card
