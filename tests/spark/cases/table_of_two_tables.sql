-- input: sales
-- static: blocked, old
-- mode: append
SELECT s.id, b.name FROM sales s JOIN (SELECT card AS name FROM blocked UNION SELECT k FROM old) b ON b.name = s.card
