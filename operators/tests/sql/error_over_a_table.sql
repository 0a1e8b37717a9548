CREATE TABLE sales (id INT, card STRING, amount DOUBLE) USING kafka OPTIONS (
  kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
CREATE TABLE prices (card STRING, rate DOUBLE, since DATE) USING csv OPTIONS (path './prices.csv', static 'true');
SELECT s.id, p.best FROM sales s JOIN (SELECT card, max(rate) OVER (PARTITION BY card ORDER BY since) AS best FROM prices) p ON p.card = s.card;
