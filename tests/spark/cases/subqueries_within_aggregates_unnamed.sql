-- input: sales
-- static: blocked
-- mode: complete
SELECT s.card, count(*), count_if(id IN (SELECT since FROM blocked)) AS n FROM sales s GROUP BY s.card
