-- input: sales
-- mode: complete
-- ordered: yes
-- note: a name in ORDER BY is that of the list first
SELECT upper(card) AS g, sum(units) AS card, -count(*) AS n FROM sales GROUP BY card ORDER BY card DESC NULLS LAST, abs(n), g LIMIT 4
