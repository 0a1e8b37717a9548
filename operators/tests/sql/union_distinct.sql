CREATE TABLE sales (id INT, card STRING, amount DOUBLE, country STRING, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
SELECT card, country FROM sales UNION SELECT name, card FROM (SELECT card AS name, country AS card FROM sales);
