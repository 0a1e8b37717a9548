-- input: sales
-- mode: append
SELECT current_timestamp, concat(current_date, '!') AS d, s.current_timestamp + 1 AS n FROM (SELECT id AS current_timestamp, card AS current_date FROM sales) s WHERE current_timestamp > 3 AND current_date IS NOT NULL
