CREATE TABLE sales (id INT, card STRING, amount DOUBLE, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
CREATE TABLE limits (card STRING, most INT) USING json OPTIONS (path './limits', static 'true');
SELECT id, most FROM sales s JOIN (SELECT card, most FROM limits ORDER BY most DESC LIMIT 3 OFFSET 2) l ON l.card = s.card;
