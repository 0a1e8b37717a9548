CREATE TABLE sales (id INT, card STRING, amount DOUBLE, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
CREATE TEMPORARY FUNCTION points(v DOUBLE, factor DOUBLE) RETURNS DOUBLE RETURN v * factor;
SELECT id, points(factor => 0.2) AS p FROM sales;
