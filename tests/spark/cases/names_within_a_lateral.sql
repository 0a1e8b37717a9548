-- input: sales
-- static: blocked
-- mode: append
-- batch: yes
SELECT s.id, l.* FROM sales s JOIN LATERAL (SELECT card, since + s.id AS n FROM blocked WHERE card = s.card) l
