CREATE TABLE sales (id INT, card STRING, amount DOUBLE, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
CREATE VIEW v (id COMMENT 'the number', card) COMMENT 'all sales' AS SELECT id, card FROM sales;
SELECT card FROM v;
