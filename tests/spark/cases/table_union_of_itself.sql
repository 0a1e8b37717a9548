-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, b.since FROM sales s JOIN (
  SELECT card, since FROM blocked UNION SELECT card, since FROM blocked WHERE since > 4 UNION SELECT 'a', 2
) b ON b.card = s.card
