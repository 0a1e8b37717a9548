-- input: sales
-- mode: append
-- batch: yes
SELECT id, c FROM sales, LATERAL (SELECT units + 1 AS c WHERE units > 3)
