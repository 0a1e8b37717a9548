-- input: sales
-- mode: complete
SELECT card, paid, grouping(card) AS no_card, grouping(paid) AS no_paid, grouping_id(card, paid) AS id, count(*) AS n FROM sales GROUP BY CUBE (card, paid)
