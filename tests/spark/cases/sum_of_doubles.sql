-- input: sales
-- mode: complete
SELECT card, sum(amount) AS total, sum(share) AS shares FROM sales GROUP BY card
