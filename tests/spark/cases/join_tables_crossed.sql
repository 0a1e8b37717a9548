-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, d.since, d.w FROM sales s JOIN (SELECT card, since, w FROM blocked CROSS JOIN VALUES ('x', 1), ('y', 8) AS v(w, m) WHERE since > m) d ON s.card = d.card
