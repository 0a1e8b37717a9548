CREATE TABLE sales (id INT, state STRING DEFAULT 'new') USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
SELECT id FROM sales;
