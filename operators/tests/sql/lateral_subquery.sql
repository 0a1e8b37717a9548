CREATE TABLE sales (id INT, card STRING, amount DOUBLE, country STRING, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
CREATE TABLE blocked (card STRING, since INT) USING csv OPTIONS (path './blocked', static 'true');
SELECT id, twice, more FROM sales, LATERAL (SELECT amount * 2 AS twice, twice + 1 AS more);
SET queryName = 'met';
SELECT s.id, b.since FROM sales s LEFT JOIN LATERAL (SELECT since FROM blocked b WHERE b.card = s.card) b ON true;
