-- input: sales
-- mode: append
SELECT id, t.p FROM sales, LATERAL (SELECT explode(array(units, 7)) AS p) t
