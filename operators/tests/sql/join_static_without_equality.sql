SET checkpointLocation = './c';
CREATE TABLE transactions (id BIGINT, merchant STRING, amount DOUBLE, at TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers 'b:9092', subscribe 'transactions', format 'json') WATERMARK at DELAY OF INTERVAL 1 MINUTE;
CREATE TABLE merchants (id INT, name STRING, city STRING, closed BOOLEAN, tags ARRAY<STRING>) USING json OPTIONS (
  path './merchants', static 'true');
CREATE TABLE cities (name STRING, country STRING) USING csv OPTIONS (path './cities.csv', static 'true', header 'true');
CREATE TABLE customers (id STRING PRIMARY KEY, name STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers 'b:9092', subscribe 'customers', format 'json');
SELECT t.id FROM transactions t JOIN merchants m ON t.amount > m.id;
