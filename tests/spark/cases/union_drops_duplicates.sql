-- input: sales, trips
-- batch: yes
-- mode: append
-- note: Spark refuses it in append mode
SELECT card, units FROM sales UNION ALL SELECT card, units FROM trips UNION SELECT card, 1 FROM trips
