-- input: sales
-- static: blocked
-- mode: append
-- batch: yes
SELECT s.id, l.since FROM sales s JOIN LATERAL (SELECT since FROM blocked WHERE card = s.card) l ON l.since < s.id
