-- input: sales
-- mode: complete
SELECT card, paid, sum(units) AS s, grouping__id AS g FROM sales GROUP BY GROUPING SETS (ROLLUP (card, paid), (paid), CUBE (card))
