-- input: sales
-- mode: append
SELECT * FROM (SELECT id, units, small FROM sales) UNPIVOT INCLUDE NULLS (v FOR name IN (units AS u, small)) AS x WHERE x.id < 5
