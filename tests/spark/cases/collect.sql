-- input: sales
-- mode: complete
SELECT card, collect_list(units) AS units, sort_array(collect_set(units)) AS some FROM sales GROUP BY card
