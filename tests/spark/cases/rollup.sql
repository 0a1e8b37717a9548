-- input: sales
-- mode: complete
SELECT card, paid, grouping_id() AS id, count(*) AS n, sum(units) AS units FROM sales GROUP BY ROLLUP (card, paid)
