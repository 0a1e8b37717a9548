-- input: sales
-- mode: complete
-- batch: yes
SELECT card, sum(DISTINCT units) AS s, avg(DISTINCT units) AS a, collect_list(DISTINCT paid) AS p FROM sales GROUP BY card HAVING count(DISTINCT units) > 0
