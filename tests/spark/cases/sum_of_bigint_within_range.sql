-- input: huge
-- mode: complete
SELECT sum(n) AS s, avg(n) AS m FROM huge WHERE id > 2
