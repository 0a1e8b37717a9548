-- input: sales
-- mode: complete
SELECT current_date, max(current_timestamp) AS m, current_date || 'x' AS x FROM (SELECT id AS current_timestamp, card AS current_date FROM sales) GROUP BY current_date HAVING max(current_timestamp) > 4
