-- input: sales
-- static: blocked
-- mode: complete
SELECT card, sum(units) + (SELECT max(since) FROM blocked) AS n, card IN (SELECT card FROM blocked) AS listed FROM sales s GROUP BY card
