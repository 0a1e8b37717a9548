-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, b.since FROM sales s LEFT JOIN (
  SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY card ORDER BY since DESC) AS place FROM blocked) WHERE place = 1
) b ON b.card = s.card
