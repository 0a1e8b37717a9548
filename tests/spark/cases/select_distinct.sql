-- input: sales
-- mode: append
-- batch: yes
SELECT DISTINCT card, paid FROM sales
