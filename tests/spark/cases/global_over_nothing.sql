-- input: sales
-- mode: complete
SELECT count(*) AS n, sum(units) AS units, max(price) AS price, collect_list(id) AS ids, approx_count_distinct(card) AS cards FROM sales WHERE id < 0
