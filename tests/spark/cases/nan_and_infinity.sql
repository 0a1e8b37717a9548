-- input: sales
-- mode: complete
SELECT min(amount) AS low, max(amount) AS high, min(share) AS low_share, max(share) AS high_share, count(amount) AS n FROM sales
