-- input: sales
-- mode: complete
-- ordered: yes
SELECT card, paid, count(*) AS n FROM sales GROUP BY ROLLUP (card, paid) ORDER BY grouping_id(), card, paid
