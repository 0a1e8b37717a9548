-- input: sales
-- mode: complete
-- note: a literal that a set leaves out is NULL there, wherever it stands
SELECT card, 'all' AS c, upper('all') AS u, max('all') AS m, grouping('all') AS g, count(*) AS n FROM sales GROUP BY ROLLUP(card, 'all')
