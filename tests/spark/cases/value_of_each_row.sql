-- input: sales
-- static: blocked
-- mode: append
SELECT id, (SELECT max(since) FROM blocked b WHERE b.card = s.card) AS since, (SELECT count(*) FROM blocked b WHERE b.card = s.card) AS n FROM sales s
