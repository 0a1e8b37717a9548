-- input: sales
-- static: blocked
-- mode: append
-- batch: yes
SELECT id FROM sales s JOIN (SELECT card, since FROM blocked ORDER BY since LIMIT 2 OFFSET 1) d ON s.card = d.card WHERE s.card NOT IN (SELECT card FROM blocked ORDER BY since OFFSET 4)
