-- input: sales
-- mode: complete
SELECT name, count(*) n, sum(v) s FROM sales UNPIVOT (v FOR name IN (units, small)) GROUP BY name
