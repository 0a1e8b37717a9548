-- input: sales
-- mode: complete
SELECT paid, count(*) AS n, sum(units) AS units FROM sales GROUP BY paid
