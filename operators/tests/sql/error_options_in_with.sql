CREATE TABLE sales (id INT) USING kafka WITH ('kafka.bootstrap.servers' = 'localhost:9092', subscribe 'sales', format 'json');
SELECT id FROM sales;
