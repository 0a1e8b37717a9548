-- input: numbers
-- mode: complete
SELECT k, median(n) AS n, median(x) AS x, median(price) AS price FROM numbers GROUP BY k
