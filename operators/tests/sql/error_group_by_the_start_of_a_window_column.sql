CREATE TABLE invoices (
  BillNo STRING, StoreID STRING, TotalValue DOUBLE, Items ARRAY<STRUCT<sku: STRING, qty: INT>>,
  Address STRUCT<city: STRING, zip: STRING>, Tags MAP<STRING, STRING>, CreatedTime BIGINT
) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices', format 'json')
  WATERMARK timestamp_millis(CreatedTime) AS ts DELAY OF INTERVAL 10 MINUTES;
CREATE TABLE ticks USING rate;
CREATE TABLE out USING noop;
SELECT w.start AS s, count(*) AS n FROM (SELECT window(ts, '1 minute') AS w FROM invoices) GROUP BY w.start;
