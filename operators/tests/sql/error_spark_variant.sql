CREATE TABLE sales (id INT, card STRING, amount DOUBLE, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
SELECT id, variant_get(parse_json(card), '$.a', 'int') AS a FROM sales;
