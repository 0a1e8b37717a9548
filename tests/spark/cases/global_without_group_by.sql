-- input: sales
-- mode: complete
SELECT count(*) AS n, sum(units) AS units, avg(units) AS mean, min(note) AS first_note, max(day) AS last_day FROM sales
