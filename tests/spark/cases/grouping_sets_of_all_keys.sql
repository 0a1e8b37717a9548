-- input: sales
-- mode: complete
SELECT card, sum(units) AS s, grouping_id() AS g, grouping(card) AS c FROM sales GROUP BY GROUPING SETS (card)
