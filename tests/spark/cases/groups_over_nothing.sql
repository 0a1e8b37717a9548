-- input: sales
-- mode: complete
SELECT card, count(*) AS n FROM sales WHERE id < 0 GROUP BY card
