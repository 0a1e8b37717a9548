CREATE TABLE sales (id INT, card STRING, amount DOUBLE) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
SET outputMode = 'update';
SELECT card, count(*) FROM sales GROPU BY card;
