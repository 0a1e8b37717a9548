CREATE TABLE sales (id INT, card STRING, amount DOUBLE, country STRING, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
SELECT s.id, c.name FROM sales s LEFT JOIN (VALUES ('DE', 'Germany'), ('US', NULL)) AS c(code, name) ON c.code = s.country;
