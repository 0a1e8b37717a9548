CREATE TABLE sales (id INT, card STRING, amount DOUBLE, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
CREATE TABLE limits (card STRING, most INT) USING json OPTIONS (path './limits', static 'true');
SELECT id, a.most, b.most AS other FROM sales s, limits a JOIN limits b ON b.card = s.card AND a.most < b.most;
