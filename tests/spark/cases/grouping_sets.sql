-- input: sales
-- mode: complete
SELECT card, paid, grouping_id() AS id, count(*) AS n FROM sales GROUP BY GROUPING SETS ((card, paid), (card), ())
