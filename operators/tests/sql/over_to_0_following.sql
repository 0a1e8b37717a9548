CREATE TABLE sales (id INT, card STRING, amount DOUBLE, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
SELECT id, sum(amount) OVER (PARTITION BY card ORDER BY ts ROWS BETWEEN 9 PRECEDING AND 0 FOLLOWING) AS s FROM sales;
