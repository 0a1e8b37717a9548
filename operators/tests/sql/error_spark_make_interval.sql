CREATE TABLE sales (id INT, card STRING, amount DOUBLE, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
SELECT id, ts + make_interval(0, 1, 0, 2) AS t FROM sales;
