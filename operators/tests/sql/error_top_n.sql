CREATE TABLE sales (id INT, card STRING, amount DOUBLE, country STRING, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY card ORDER BY amount DESC) AS rn FROM sales) WHERE rn <= 3;
