-- input: sales
-- static: blocked
-- mode: append
-- batch: yes
SELECT id, (SELECT max(named_struct('a', b.since)).a FROM blocked b WHERE b.card = s.card) AS a, (SELECT typeof(max(b.since)) FROM blocked b WHERE b.card = s.card) AS t,
  (SELECT coalesce(max(INTERVAL '1' MONTH), INTERVAL '2' MONTH) FROM blocked b WHERE b.card = s.card) = INTERVAL '2' MONTH AS months,
  (SELECT coalesce(max(named_struct('x-y z', b.since)), named_struct('x-y z', NULL)) FROM blocked b WHERE b.card = s.card) AS odd FROM sales s
