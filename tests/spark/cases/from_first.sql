-- input: sales
-- mode: complete
FROM (FROM sales s SELECT s.* EXCEPT (s.note, ts), amount * 2 AS double_amount WHERE units > 0) SELECT card, count(*) AS n, sum(double_amount) AS d GROUP BY card
