CREATE TABLE sales (id INT, card STRING, amount DOUBLE) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
CREATE TABLE out USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', topic 'out', format 'json', key 'card');
INSERT INTO out SELECT card id, amount FROM sales;
