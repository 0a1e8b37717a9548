CREATE TABLE invoices (
  BillNo STRING, StoreID STRING, TotalValue DOUBLE, Items ARRAY<STRUCT<sku: STRING, qty: INT>>,
  Address STRUCT<city: STRING, zip: STRING>, Tags MAP<STRING, STRING>, CreatedTime BIGINT
) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices', format 'json')
  WATERMARK timestamp_millis(CreatedTime) AS ts DELAY OF INTERVAL 10 MINUTES;
CREATE TABLE ticks USING rate;
CREATE TABLE out USING noop;
SELECT *, window(ts, '10 minutes', '5 minutes'), window(ts, '10 minutes', '5 minutes').end, hour(window(ts, '10 minutes', '5 minutes').start) AS h FROM invoices WHERE TotalValue > 1;
SET queryName = 'second';
SELECT w, count(*) AS n FROM (SELECT window(ts, '1 minute') AS w, StoreID FROM invoices) GROUP BY w;
