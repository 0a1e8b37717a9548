CREATE TABLE sales (id INT, card STRING, amount DOUBLE, country STRING, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
WITH x AS SELECT id FROM sales SELECT id FROM x;
