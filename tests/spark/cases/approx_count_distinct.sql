-- input: sales
-- mode: complete
SELECT card, approx_count_distinct(units) AS units, approx_count_distinct(note) AS notes FROM sales GROUP BY card
