-- input: sales
-- mode: complete
SELECT card, sum(units) * 2 + count(*) AS e, max(units) - min(units) AS spread, concat(card, '-', count(*)) AS tag FROM sales GROUP BY card
