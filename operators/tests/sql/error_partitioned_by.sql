CREATE TABLE invoices (
  BillNo STRING, StoreID STRING, TotalValue DOUBLE, Items ARRAY<STRUCT<sku: STRING, qty: INT>>,
  Address STRUCT<city: STRING, zip: STRING>, Tags MAP<STRING, STRING>, CreatedTime BIGINT
) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices', format 'json');
SET checkpointLocation = 'c';
CREATE TABLE out USING noop;
CREATE TABLE more (a STRING) USING kafka OPTIONS (kafka.bootstrap.servers 'b:1', topic 'x', format 'json') PARTITIONED BY (a);
INSERT INTO more SELECT BillNo AS a FROM invoices;
