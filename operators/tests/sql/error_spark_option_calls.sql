CREATE TABLE invoices USING kafka
  option("kafka.bootstrap.servers", "localhost:9092")
  option("subscribe", "invoices");
SELECT * FROM invoices;
