-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, d.since, d.n FROM sales s
  JOIN (SELECT b.card, b.since, g.n FROM (SELECT card, count(*) AS n FROM blocked WHERE since > 1 GROUP BY card) g RIGHT JOIN blocked b ON g.card = b.card) d ON s.card = d.card
