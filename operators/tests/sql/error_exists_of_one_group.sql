CREATE TABLE sales (id INT, card STRING, amount DOUBLE, country STRING, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
CREATE TABLE customers (card STRING, name STRING, country STRING) USING csv OPTIONS (path './customers', header 'true', static 'true');
SELECT id FROM sales s WHERE EXISTS (SELECT 1 FROM customers c WHERE c.card = s.card HAVING count(*) > 1);
