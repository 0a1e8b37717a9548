-- input: sales
-- static: blocked
-- mode: append
-- batch: yes
SELECT id, (SELECT count(*) FROM blocked b WHERE b.card <=> s.card) AS n, (SELECT max(b.since) FROM blocked b WHERE s.card <=> b.card AND b.since > 1) AS m FROM sales s
