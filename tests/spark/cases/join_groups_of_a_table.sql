-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, b.n, b.since FROM sales s LEFT JOIN (SELECT card, count(*) AS n, min(since) AS since FROM blocked GROUP BY card HAVING count(*) > 0) b ON b.card = s.card
