CREATE TABLE invoices USING kafka OPTIONS (
  kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices', security.protocol 'SSL');
SELECT * FROM invoices;
