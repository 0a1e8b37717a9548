CREATE TABLE sales (id INT, card STRING, amount DOUBLE, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
CREATE TABLE limits (card STRING, most INT) USING json OPTIONS (path './limits', static 'true');
SELECT id FROM sales LIMIT 3 OFFSET 2;
