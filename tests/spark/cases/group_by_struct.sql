-- input: sales
-- mode: complete
SELECT named_struct('c', card, 'p', paid) AS k, count(*) AS n FROM sales GROUP BY named_struct('c', card, 'p', paid)
