CREATE TABLE invoices (
  BillNo STRING, StoreID STRING, Card STRING, TotalValue DOUBLE, Points BIGINT, CreatedTime BIGINT
) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices', format 'json')
  WATERMARK timestamp_millis(CreatedTime) AS ts DELAY OF INTERVAL 10 MINUTES;
SELECT BillNo, count(*) OVER w AS visits, sum(TotalValue) OVER w / avg(TotalValue) OVER day AS share,
  ts - lag(ts) OVER (PARTITION BY Card ORDER BY ts) AS since, row_number() OVER (PARTITION BY Card ORDER BY ts)
FROM invoices
WINDOW w AS (PARTITION BY Card ORDER BY ts RANGE BETWEEN INTERVAL 1 HOUR PRECEDING AND CURRENT ROW),
  day AS (PARTITION BY Card ORDER BY ts RANGE INTERVAL 1 DAY PRECEDING);
