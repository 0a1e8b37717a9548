-- input: sales
-- mode: complete
-- batch: yes
SELECT count(DISTINCT *) AS n FROM (SELECT card, paid FROM sales)
