-- input: sales
-- mode: append
SELECT id, (SELECT 3) x FROM sales
