CREATE TABLE sales (id INT, card STRING, amount DOUBLE, country STRING, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
DECLARE VARIABLE least DOUBLE DEFAULT 10;
SELECT id FROM sales WHERE amount > least;
