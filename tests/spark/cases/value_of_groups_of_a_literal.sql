-- input: sales
-- static: blocked
-- mode: append
-- batch: yes
SELECT id, (SELECT count(*) FROM blocked WHERE 1 = s.units) AS n FROM sales s
