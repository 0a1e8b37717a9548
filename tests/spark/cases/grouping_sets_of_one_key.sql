-- input: sales
-- mode: complete
SELECT card, paid, sum(units) AS s, grouping_id() AS g FROM sales GROUP BY card, paid GROUPING SETS ((card))
