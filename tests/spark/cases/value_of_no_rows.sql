-- input: sales
-- static: blocked
-- mode: append
-- note: of no rows an aggregate has a value too, and what is computed of it
SELECT id,
  (SELECT coalesce(max(since), -1) FROM blocked b WHERE b.card = s.card) AS since,
  (SELECT count(*) + 1 FROM blocked b WHERE b.card = s.card) AS more,
  (SELECT sort_array(collect_list(since)) FROM blocked b WHERE b.card = s.card) AS all,
  (SELECT CASE WHEN count(*) = 0 THEN 'none' WHEN max(since) > 5 THEN NULL ELSE 'few' END FROM blocked b WHERE b.card = s.card) AS what,
  (SELECT max(since) + 1 FROM blocked b WHERE b.card = s.card) AS next
FROM sales s WHERE (SELECT coalesce(sum(since), 0) FROM blocked b WHERE b.card = s.card) < 9
