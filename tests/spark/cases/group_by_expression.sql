-- input: sales
-- mode: complete
SELECT units % 2 AS odd, upper(note) AS note, count(*) AS n FROM sales GROUP BY units % 2, upper(note)
