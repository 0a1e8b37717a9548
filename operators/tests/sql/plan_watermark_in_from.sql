CREATE TABLE invoices (
  BillNo STRING, StoreID STRING, TotalValue DOUBLE, Items ARRAY<STRUCT<sku: STRING, qty: INT>>,
  Address STRUCT<city: STRING, zip: STRING>, Tags MAP<STRING, STRING>, CreatedTime BIGINT
) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices', format 'json');
CREATE TABLE out USING noop;
INSERT INTO out SELECT q.BillNo FROM invoices WATERMARK timestamp_millis(CreatedTime) AS ts DELAY OF INTERVAL '1 hour 30 minutes' AS q WHERE q.ts > TIMESTAMP '2024-01-01';
