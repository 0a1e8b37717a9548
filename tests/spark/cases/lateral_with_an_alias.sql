-- input: sales
-- mode: append
SELECT id, x.c, x.d FROM sales JOIN LATERAL (SELECT units + small AS c, upper(card) AS d) x
