CREATE TABLE invoices (
  BillNo STRING, StoreID STRING, TotalValue DOUBLE, Items ARRAY<STRUCT<sku: STRING, qty: INT>>,
  Address STRUCT<city: STRING, zip: STRING>, Tags MAP<STRING, STRING>, CreatedTime BIGINT
) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices', format 'json');
CREATE TABLE out USING noop;
CREATE TEMPORARY FUNCTION points(v DOUBLE) RETURNS DOUBLE RETURN v * 0.2;
INSERT INTO out SELECT BillNo, points(TotalValue) AS p FROM invoices;
