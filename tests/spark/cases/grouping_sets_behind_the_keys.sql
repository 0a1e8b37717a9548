-- input: sales
-- mode: complete
SELECT upper(card) AS c, paid, count(*) AS n FROM sales GROUP BY upper(card), paid GROUPING SETS ((upper(card)), (paid))
