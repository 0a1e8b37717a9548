-- input: sales
-- mode: complete
-- ordered: yes
SELECT card FROM sales GROUP BY card ORDER BY max(id) DESC
