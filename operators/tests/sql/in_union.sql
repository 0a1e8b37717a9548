CREATE TABLE sales (id INT, card STRING, amount DOUBLE, country STRING, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
CREATE TABLE blocked (card STRING, since INT) USING csv OPTIONS (path './blocked', static 'true');
SELECT id FROM sales WHERE card IN (SELECT card FROM blocked UNION ALL SELECT 'a');
SET queryName = 'out';
SELECT id FROM sales WHERE card NOT IN (SELECT card FROM blocked UNION SELECT country FROM blocked b, LATERAL (SELECT 'b' AS country));
