-- input: sales
-- mode: append
SELECT id, name, v FROM sales UNPIVOT (v FOR name IN (units, small, big))
