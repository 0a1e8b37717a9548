CREATE TABLE sales (id INT, card STRING, amount DOUBLE, country STRING, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
SET outputMode = update
SELECT card, count(*) FROM sales GROUP BY card;
