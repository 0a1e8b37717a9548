-- input: sales
-- mode: complete
-- batch: yes
SELECT card, listagg(DISTINCT note, ',') WITHIN GROUP (ORDER BY note) AS a, listagg(DISTINCT note, ',') WITHIN GROUP (ORDER BY note DESC) AS b
FROM sales GROUP BY card
