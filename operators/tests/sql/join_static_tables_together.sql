CREATE TABLE sales (id INT, card STRING, amount DOUBLE) USING kafka OPTIONS (
  kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
CREATE TABLE prices (card STRING, rate DOUBLE, since DATE) USING csv OPTIONS (path './prices.csv', static 'true');
CREATE TABLE old_prices (card STRING, rate DOUBLE, since DATE) USING csv OPTIONS (path './old_prices.csv', static 'true');
SELECT s.id, p.rate FROM sales s JOIN (
  SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY card ORDER BY since DESC) AS place
    FROM (SELECT * FROM prices UNION ALL SELECT * FROM old_prices WHERE rate > 0))
  WHERE place = 1) p ON p.card = s.card;
