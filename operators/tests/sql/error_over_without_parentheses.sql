CREATE TABLE sales (id INT, card STRING, amount DOUBLE, country STRING, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
SELECT sum(amount) OVER PARTITION BY card FROM sales;
