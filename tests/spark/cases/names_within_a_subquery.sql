-- input: sales
-- static: blocked
-- mode: append
SELECT id, (SELECT count(*) FROM blocked WHERE card = s.card) AS n, (SELECT max(since) FROM blocked WHERE s.card = card AND since < 9) AS m FROM sales s WHERE EXISTS (SELECT 1 FROM blocked WHERE card = s.card AND since > 0) AND s.id IN (SELECT since FROM blocked WHERE card <=> s.card)
