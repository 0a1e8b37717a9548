-- input: sales
-- static: blocked
-- mode: complete
SELECT count_if(NOT card IN (SELECT card FROM blocked WHERE card IS NOT NULL)) AS a,
  count(card IN (SELECT card FROM blocked)) AS b,
  sum(CASE WHEN card IN (SELECT card FROM blocked) THEN 1 ELSE 0 END) + sum(id) AS c,
  count(*) FILTER (WHERE EXISTS (SELECT 1 FROM blocked b WHERE b.card = s.card)) AS d,
  sum(id - (SELECT max(since) FROM blocked)) AS e
FROM sales s
