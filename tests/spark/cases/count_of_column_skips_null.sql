-- input: sales
-- mode: complete
SELECT card, count(*) AS rows, count(units) AS units, count(units, amount) AS both, count(1) AS ones FROM sales GROUP BY card
