CREATE TABLE sales (id INT, card STRING, amount DOUBLE) USING kafka OPTIONS (
  kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
SELECT id, CASE WHEN card THEN 'yes' ELSE 'no' END AS answer FROM sales;
