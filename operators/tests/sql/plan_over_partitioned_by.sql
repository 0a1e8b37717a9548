CREATE TABLE invoices (
  BillNo STRING, StoreID STRING, Card STRING, TotalValue DOUBLE, Points BIGINT, CreatedTime BIGINT
) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices', format 'json')
  PARTITIONED BY (Card) WATERMARK timestamp_millis(CreatedTime) AS ts DELAY OF INTERVAL 10 MINUTES;
SELECT BillNo, sum(TotalValue) OVER (PARTITION BY Card) AS total FROM invoices;
