-- input: sales
-- mode: complete
SELECT card, sum(units) AS ints, sum(small) AS smalls, sum(big) AS bigs, sum(price) AS decimals FROM sales GROUP BY card
