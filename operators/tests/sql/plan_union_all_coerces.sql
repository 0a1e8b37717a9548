CREATE TABLE invoices (
  BillNo STRING, StoreID STRING, TotalValue DOUBLE, Items ARRAY<STRUCT<sku: STRING, qty: INT>>,
  Address STRUCT<city: STRING, zip: STRING>, Tags MAP<STRING, STRING>, CreatedTime BIGINT
) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices', format 'json');
CREATE TABLE out USING noop;
CREATE TABLE raw USING kafka OPTIONS (kafka.bootstrap.servers 'b:1', subscribe 'raw');
INSERT INTO out SELECT BillNo AS id, CreatedTime AS n FROM invoices UNION ALL SELECT topic, partition FROM raw;
