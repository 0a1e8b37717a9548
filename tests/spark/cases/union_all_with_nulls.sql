-- input: sales
-- mode: append
SELECT id, price, units, typeof(price) AS t, typeof(units) AS u FROM
  (SELECT id, price, units, day FROM sales UNION ALL SELECT id, NULL, NULL, NULL FROM sales WHERE id < 3)
