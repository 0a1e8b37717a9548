-- input: sales
-- mode: complete
SELECT card, sum(units) AS s FROM sales GROUP BY card GROUPING SETS (())
