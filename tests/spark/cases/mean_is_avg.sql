-- input: sales
-- mode: complete
SELECT card, mean(units) AS m, avg(amount) AS a FROM sales GROUP BY card
