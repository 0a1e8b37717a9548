SET checkpointLocation = './c';
CREATE TABLE logins (user STRING, ip STRING, at TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers 'b:9092', subscribe 'logins', format 'json') WATERMARK at DELAY OF INTERVAL 1 MINUTE;
CREATE TABLE transactions (id BIGINT, user STRING, amount DOUBLE, at TIMESTAMP, note STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers 'b:9092', subscribe 'transactions', format 'json') WATERMARK at DELAY OF INTERVAL 1 MINUTE;
CREATE TABLE customers (id STRING PRIMARY KEY, name STRING, country STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers 'b:9092', subscribe 'customers', format 'json');
CREATE TABLE prices (shop STRING, item INT, price DOUBLE, PRIMARY KEY (shop, item)) USING kafka OPTIONS (
  kafka.bootstrap.servers 'b:9092', subscribe 'prices', format 'json');
CREATE TABLE bare (user STRING, at TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers 'b:9092', subscribe 'bare', format 'json');
SELECT t.id FROM transactions t NATURAL JOIN logins l;
