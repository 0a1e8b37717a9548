CREATE TABLE invoices (
  BillNo STRING, StoreID STRING, TotalValue DOUBLE, Items ARRAY<STRUCT<sku: STRING, qty: INT>>,
  Address STRUCT<city: STRING, zip: STRING>, Tags MAP<STRING, STRING>, CreatedTime BIGINT
) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices', format 'json');
CREATE TABLE out (id STRING, note STRING, total FLOAT) USING console;
CREATE TABLE plain USING console;
CREATE TABLE named USING console;
INSERT INTO out (total, id) SELECT TotalValue, BillNo FROM invoices;
INSERT INTO plain (store, bill) SELECT StoreID, BillNo FROM invoices;
INSERT INTO named BY NAME SELECT StoreID FROM invoices;
