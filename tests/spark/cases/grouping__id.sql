-- input: sales
-- mode: complete
SELECT card, paid, count(*) AS n, grouping__id, grouping__id + 1 AS next FROM sales GROUP BY card, paid WITH CUBE
