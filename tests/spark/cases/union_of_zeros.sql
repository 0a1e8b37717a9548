-- input: sales
-- mode: append
-- batch: yes
SELECT -0.0D AS z FROM sales UNION SELECT 0.0D FROM sales
