-- input: sales
-- mode: complete
SELECT card FROM sales GROUP BY card HAVING sum(price) > 20
