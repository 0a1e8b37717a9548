SET checkpointLocation = './c';
CREATE TABLE transactions (id BIGINT, merchant STRING, amount DOUBLE, at TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers 'b:9092', subscribe 'transactions', format 'json') WATERMARK at DELAY OF INTERVAL 1 MINUTE;
CREATE TABLE merchants (id INT, name STRING, city STRING, closed BOOLEAN, tags ARRAY<STRING>) USING json OPTIONS (
  path './merchants', static 'true');
CREATE TABLE cities (name STRING, country STRING) USING csv OPTIONS (path './cities.csv', static 'true', header 'true');
CREATE TABLE customers (id STRING PRIMARY KEY, name STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers 'b:9092', subscribe 'customers', format 'json');
CREATE TEMPORARY VIEW tagged AS SELECT upper(name) AS name, explode(tags) AS tag FROM merchants WHERE NOT closed;
SELECT t.id, g.tag FROM transactions t JOIN tagged g ON t.merchant = g.name;
