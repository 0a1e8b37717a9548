CREATE TABLE sales (id INT, card STRING, amount DOUBLE, country STRING, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
SELECT sum(amount) OVER (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 1 HOUR AND CURRENT ROW) FROM sales;
