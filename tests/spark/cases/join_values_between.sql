-- input: sales
-- mode: append
SELECT s.id, b.bucket FROM sales s JOIN (VALUES ('low', 0, 20), ('middle', 20, 100), ('high', 100, NULL)) AS b(bucket, least, below) ON s.amount >= b.least AND (s.amount < b.below OR b.below IS NULL)
