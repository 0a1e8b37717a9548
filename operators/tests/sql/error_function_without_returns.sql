CREATE TABLE sales (id INT, card STRING, amount DOUBLE, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
CREATE TEMPORARY FUNCTION points(v DOUBLE) RETURN v * 0.2;
SELECT id, points(amount) AS p FROM sales;
