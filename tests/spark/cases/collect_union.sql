-- input: sales
-- mode: complete
SELECT card, array_sort(collect_union(array(units, small))) AS u FROM sales GROUP BY card
