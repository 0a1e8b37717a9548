-- input: sales
-- static: blocked
-- mode: append
SELECT * FROM (SELECT id FROM sales) NATURAL JOIN blocked
