-- input: sales
-- mode: complete
SELECT day, any_value(card, true) AS c FROM sales GROUP BY day
