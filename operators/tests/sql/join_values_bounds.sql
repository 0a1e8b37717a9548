CREATE TABLE sales (id INT, card STRING, amount DOUBLE, country STRING, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
CREATE VIEW bounds AS SELECT * FROM VALUES ('low', 0, 20), ('high', 20, 1e9) AS b(bucket, least, below);
SELECT id, bucket FROM sales JOIN bounds ON amount >= least AND amount < below;
