-- input: sales
-- mode: complete
SELECT card, bool_and(paid) AS every_one, bool_or(paid) AS any_one, count_if(paid) AS n FROM sales GROUP BY card
