-- input: sales
-- mode: complete
-- ordered: yes
SELECT card, sum(units) AS u FROM sales GROUP BY card ORDER BY u DESC NULLS LAST, card LIMIT 2
