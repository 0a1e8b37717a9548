CREATE TABLE invoices (id STRING) USING kafka TBLPROPERTIES ('subscribe' = 'invoices');
SELECT * FROM invoices;
