-- input: sales
-- static: blocked
-- mode: complete
SELECT s.card, sum(units) AS n FROM sales s GROUP BY s.card HAVING NOT EXISTS (SELECT 1 FROM blocked b WHERE b.card = s.card) OR sum(units) > 3
