CREATE TABLE invoices USING kafka OPTIONS (kafka.bootstrap.server 'localhost:9092', subscribe 'invoices');
SELECT * FROM invoices;
