CREATE TABLE invoices USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices');
SELECT from_json(CAST(value AS STRING), 'a INT').* FROM invoices;
