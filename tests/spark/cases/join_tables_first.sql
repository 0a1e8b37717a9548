-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, b.since, c.since AS other FROM blocked b JOIN blocked c ON b.card = c.card JOIN sales s ON s.card = b.card AND s.id > c.since
