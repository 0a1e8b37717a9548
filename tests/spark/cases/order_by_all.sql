-- input: sales
-- mode: complete
-- ordered: yes
SELECT card, count(*) AS n FROM sales GROUP BY card ORDER BY ALL DESC
