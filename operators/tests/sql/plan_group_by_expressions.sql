CREATE TABLE invoices (
  BillNo STRING, StoreID STRING, TotalValue DOUBLE, Items ARRAY<STRUCT<sku: STRING, qty: INT>>,
  Address STRUCT<city: STRING, zip: STRING>, Tags MAP<STRING, STRING>, CreatedTime BIGINT
) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices', format 'json')
  WATERMARK timestamp_millis(CreatedTime) AS ts DELAY OF INTERVAL 10 MINUTES;
CREATE TABLE ticks USING rate;
CREATE TABLE out USING noop;
SET outputMode = 'update';
SELECT upper(Address.city) AS city, substring(BillNo, 1, 2) AS kind, avg(TotalValue) + 1 AS a, count(*) FILTER (WHERE TotalValue > 5) AS big
FROM invoices i GROUP BY upper(i.address.CITY), 2 HAVING count(*) > 3 AND city <> 'X';
