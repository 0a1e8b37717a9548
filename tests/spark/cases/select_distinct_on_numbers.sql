-- input: sales
-- mode: append
-- batch: yes
SELECT DISTINCT units FROM sales
