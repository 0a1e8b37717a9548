-- input: sales
-- static: blocked
-- mode: append
SELECT id,
  NOT card IN (SELECT card FROM blocked) AS a,
  (card IN (SELECT card FROM blocked WHERE card IS NOT NULL)) = false AS b,
  NOT (card IN (SELECT card FROM blocked) AND id < 5) AS c,
  NOT (id > 5 OR card IN (SELECT card FROM blocked WHERE card IS NOT NULL)) AS d,
  CASE WHEN NOT card IN (SELECT card FROM blocked WHERE card IS NOT NULL) THEN 'out' ELSE 'in' END AS e,
  (card IN (SELECT card FROM blocked)) IS NOT TRUE AS f,
  NOT coalesce(card IN (SELECT card FROM blocked), true) AS g,
  true <> (NOT (card IN (SELECT card FROM blocked WHERE card IS NOT NULL))) AS h,
  NOT (id > 5 OR card IN (SELECT card FROM blocked WHERE since > 100)) AS i
FROM sales
