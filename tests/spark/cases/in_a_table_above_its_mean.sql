-- input: sales
-- static: blocked
-- mode: append
SELECT id, card FROM sales WHERE card IN (SELECT card FROM blocked b WHERE since > (SELECT avg(since) FROM blocked) AND EXISTS (SELECT 1 FROM blocked c WHERE c.card = b.card AND c.since < b.since))
