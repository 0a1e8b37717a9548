-- input: sales
-- static: blocked
-- mode: complete
SELECT card, max(id + (SELECT count(*) FROM blocked b WHERE b.card = s.card)) AS m, card IN (SELECT card FROM blocked) AS i
FROM sales s GROUP BY card HAVING count_if(id IN (SELECT since FROM blocked)) > 0
