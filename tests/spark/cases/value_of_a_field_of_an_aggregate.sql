-- input: sales
-- static: blocked
-- mode: append
-- batch: yes
SELECT id, (SELECT max(named_struct('a', b.since)).a FROM blocked b WHERE b.card = s.card) AS a, (SELECT typeof(max(b.since)) FROM blocked b WHERE b.card = s.card) AS t FROM sales s
