SET checkpointLocation = './c';
CREATE TABLE transactions (id BIGINT, merchant STRING, amount DOUBLE, at TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers 'b:9092', subscribe 'transactions', format 'json') WATERMARK at DELAY OF INTERVAL 1 MINUTE;
CREATE TABLE merchants (id INT, name STRING, city STRING, closed BOOLEAN, tags ARRAY<STRING>) USING json OPTIONS (
  path './merchants', static 'true');
CREATE TABLE cities (name STRING, country STRING) USING csv OPTIONS (path './cities.csv', static 'true', header 'true');
CREATE TABLE customers (id STRING PRIMARY KEY, name STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers 'b:9092', subscribe 'customers', format 'json');
SELECT m.name FROM merchants m JOIN customers c ON m.name = c.name;
