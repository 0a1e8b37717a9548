-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, a.since, b.since AS other FROM sales s, blocked a JOIN blocked b ON s.card = b.card AND a.since > 4
