-- input: sales
-- mode: complete
SELECT * FROM (SELECT card, paid FROM sales) GROUP BY ALL
