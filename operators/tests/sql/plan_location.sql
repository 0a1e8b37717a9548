CREATE TABLE invoices (id STRING) USING json LOCATION '/data';
SELECT * FROM invoices;
