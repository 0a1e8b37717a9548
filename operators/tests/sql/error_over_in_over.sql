CREATE TABLE invoices (
  BillNo STRING, StoreID STRING, Card STRING, TotalValue DOUBLE, Points BIGINT, CreatedTime BIGINT
) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices', format 'json')
  WATERMARK timestamp_millis(CreatedTime) AS ts DELAY OF INTERVAL 10 MINUTES;
SELECT sum(sum(Points) OVER (PARTITION BY Card)) OVER (PARTITION BY Card) FROM invoices;
