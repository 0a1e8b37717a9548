-- input: sales
-- mode: complete
SELECT s.* EXCEPT (units), sum(units) AS n FROM (SELECT card, paid, units FROM sales) s GROUP BY ALL
