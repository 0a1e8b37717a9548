CREATE TABLE invoices USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', topic 'invoices');
SELECT * FROM invoices;
