-- input: sales
-- mode: append
SELECT to_json(struct(* EXCEPT (note, ts, day, price, share, amount))) AS j, struct(s.* EXCEPT (s.ts, day, price, share, amount, note), id + 1 AS next) AS s FROM sales s
