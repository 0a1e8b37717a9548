-- input: sales
-- mode: complete
SELECT sum(units) AS s, grouping_id() AS g FROM sales GROUP BY GROUPING SETS (())
