CREATE TABLE sales (id INT, card STRING, amount DOUBLE) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
CREATE TABLE out USING noop;
INSERT INTO out SLECT id FROM sales;
