-- input: sales
-- mode: complete
SELECT card, count(*) AS n FROM sales GROUP BY GROUPING SETS ((card), (card), ())
