-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, b.n, b.latest FROM sales s JOIN (
  SELECT card, count(*) AS n, max(since) AS latest FROM (SELECT * FROM blocked UNION ALL SELECT * FROM blocked) GROUP BY card
) b ON b.card = s.card
