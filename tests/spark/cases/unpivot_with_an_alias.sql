-- input: sales
-- mode: append
SELECT u.id, u.name FROM (SELECT id, units, small FROM sales) UNPIVOT EXCLUDE NULLS (v FOR name IN (units, small)) u
