-- input: sales
-- mode: complete
-- batch: yes
SELECT card, count(DISTINCT units) AS units, count(DISTINCT note) AS notes, count(DISTINCT units, note) AS both FROM sales GROUP BY card
