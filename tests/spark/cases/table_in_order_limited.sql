-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, b.since FROM sales s JOIN (
  SELECT card, since FROM blocked WHERE card IS NOT NULL ORDER BY since DESC LIMIT 2
) b ON b.card = s.card
