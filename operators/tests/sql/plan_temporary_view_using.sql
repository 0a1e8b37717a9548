CREATE TEMPORARY VIEW invoices USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices');
SELECT * FROM invoices;
