-- input: sales
-- mode: complete
SELECT card, paid, count(*) AS n FROM sales GROUP BY CUBE (card, paid) HAVING grouping(card) = 0 AND count(*) > 1
