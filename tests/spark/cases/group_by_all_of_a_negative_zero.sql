-- input: sales
-- mode: complete
-- note: a literal is no value of a group, and keeps its sign
SELECT -0D AS z, card, count(*) AS n FROM sales GROUP BY ALL
