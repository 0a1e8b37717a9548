CREATE TABLE sales (id INT, card STRING, amount DOUBLE, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
SELECT id, item FROM sales, explode(array(1, 2)) AS e(item);
