-- input: sales
-- mode: complete
SELECT card, count(card) AS cards, max(card) AS most FROM sales GROUP BY card WITH ROLLUP
