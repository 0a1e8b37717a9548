-- input: sales
-- static: blocked
-- mode: complete
SELECT card, count(*) AS n FROM sales GROUP BY card HAVING count(*) > (SELECT count(*) FROM blocked WHERE card = 'a')
