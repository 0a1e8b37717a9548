-- input: sales
-- mode: complete
SELECT card, avg(units) AS ints, avg(big) AS bigs, avg(price) AS decimals, avg(share) AS floats FROM sales GROUP BY card
