-- input: sales
-- mode: complete
SELECT card, percentile(amount, 0.95) AS a, percentile(price, 0.35) AS b, percentile_cont(0.35) WITHIN GROUP (ORDER BY units) AS c, median(price) AS d,
  percentile(share, array(0.1, 0.9)) AS e FROM sales WHERE NOT isnan(amount) GROUP BY card
