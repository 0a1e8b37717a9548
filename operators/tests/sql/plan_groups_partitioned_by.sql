CREATE TABLE invoices (
  BillNo STRING, StoreID STRING, TotalValue DOUBLE, Items ARRAY<STRUCT<sku: STRING, qty: INT>>,
  Address STRUCT<city: STRING, zip: STRING>, Tags MAP<STRING, STRING>, CreatedTime BIGINT
) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices', format 'json')
  WATERMARK timestamp_millis(CreatedTime) AS ts DELAY OF INTERVAL 10 MINUTES;
CREATE TABLE ticks USING rate;
CREATE TABLE out USING noop;
CREATE TABLE payments (card STRING, amount DOUBLE) USING kafka OPTIONS (kafka.bootstrap.servers 'b:1', subscribe 'p', format 'json') PARTITIONED BY (card);
SET outputMode = 'update'; SELECT c, sum(amount) FROM (SELECT card AS c, amount FROM payments) GROUP BY c;
