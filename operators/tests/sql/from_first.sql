CREATE TABLE sales (id INT, card STRING, amount DOUBLE, country STRING, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
FROM sales s SELECT s.* EXCEPT (s.ts, country), CAST('10:15' AS TIMESTAMP) AS due WHERE amount > 1;
