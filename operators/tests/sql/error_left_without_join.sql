CREATE TABLE sales (id INT, card STRING, amount DOUBLE, country STRING, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
CREATE TABLE blocked (card STRING, since INT) USING csv OPTIONS (path './blocked', static 'true');
SELECT s.id FROM sales s LEFT blocked b ON s.card = b.card;
