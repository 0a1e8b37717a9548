-- input: sales
-- static: blocked
-- mode: complete
SELECT card, count(*) AS n, (SELECT count_if(since IN (SELECT since FROM blocked WHERE since > 3)) FROM blocked) AS a FROM sales GROUP BY card
