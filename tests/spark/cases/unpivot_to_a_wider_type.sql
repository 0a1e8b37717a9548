-- input: sales
-- mode: append
SELECT * FROM (SELECT id, units, amount FROM sales) UNPIVOT (v FOR name IN (units, amount))
