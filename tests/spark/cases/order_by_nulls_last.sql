-- input: sales
-- mode: complete
-- ordered: yes
SELECT card, sum(units) AS u FROM sales GROUP BY card ORDER BY card NULLS LAST
