-- input: sales
-- mode: complete
SELECT word, count(*) AS n FROM (SELECT explode(split(concat_ws(' ', card, note, card), ' ')) AS word FROM sales) GROUP BY word
