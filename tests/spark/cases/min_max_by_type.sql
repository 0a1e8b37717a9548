-- input: sales
-- mode: complete
SELECT card, min(amount) AS a, max(amount) AS b, min(note) AS c, max(note) AS d, min(day) AS e, max(ts) AS f, min(paid) AS g, max(paid) AS h, min(price) AS i, max(price) AS j FROM sales GROUP BY card
