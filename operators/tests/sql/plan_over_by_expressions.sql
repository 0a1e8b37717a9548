CREATE TABLE invoices (
  BillNo STRING, StoreID STRING, Card STRING, TotalValue DOUBLE, Points BIGINT, CreatedTime BIGINT
) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices', format 'json')
  WATERMARK timestamp_millis(CreatedTime) AS ts DELAY OF INTERVAL 10 MINUTES;
SELECT sum(Points + 1) OVER (PARTITION BY lower(Card), StoreID ORDER BY CreatedTime RANGE 1000 PRECEDING) AS a,
  count(DISTINCT StoreID) OVER (PARTITION BY Card ORDER BY ts ROWS BETWEEN 9 PRECEDING AND 1 PRECEDING) AS b,
  count(*) FILTER (WHERE TotalValue > 100) OVER (PARTITION BY Card) AS c,
  count_if(TotalValue > 100) OVER (PARTITION BY Card) AS d,
  first_value(StoreID) IGNORE NULLS OVER (ORDER BY ts ROWS 3 PRECEDING) AS e,
  lag(StoreID, 2, 'none') OVER (PARTITION BY Card ORDER BY ts) AS f
FROM invoices;
