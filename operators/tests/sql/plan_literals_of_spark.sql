CREATE TABLE invoices (
  BillNo STRING, StoreID STRING, TotalValue DOUBLE, Items ARRAY<STRUCT<sku: STRING, qty: INT>>,
  Address STRUCT<city: STRING, zip: STRING>, Tags MAP<STRING, STRING>, CreatedTime BIGINT
) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices', format 'json');
CREATE TABLE out USING noop;
INSERT INTO out SELECT 1L AS a, 1.5D AS b, 2.50BD AS c, 3S AS d, 4Y AS e, 1.0F AS f, 'it''s' AS g, r'\d' AS h, "dq" AS i, X'1F' AS j, INTERVAL 1 DAY 2 HOURS AS k FROM invoices;
