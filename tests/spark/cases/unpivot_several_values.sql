-- input: sales
-- mode: append
SELECT * FROM (SELECT id, units, small, amount, share FROM sales) UNPIVOT ((a, b) FOR name IN ((units, amount), (small, share) AS s))
