-- input: sales
-- mode: append
-- watermark: ts 10 seconds
SELECT window.start AS start, card, grouping(card) AS of_all, count(*) AS n FROM sales GROUP BY window(ts, '2 minutes'), ROLLUP (card)
