-- input: sales
-- mode: complete
SELECT x, count(*) AS n, count(x) AS m, max(x) AS most, sum(price) AS spent FROM (SELECT price, NULL AS x FROM sales WHERE id > 2 UNION ALL SELECT NULL, NULL FROM sales) GROUP BY x
