-- input: sales
-- mode: complete
SELECT card, count(*) FILTER (WHERE paid) AS paid, sum(units) FILTER (WHERE amount > 0) AS units, count(*) AS n FROM sales GROUP BY card
