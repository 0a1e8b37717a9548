CREATE TABLE sales (id INT, card STRING, amount DOUBLE, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'sales', format 'json');
SELECT to_json(struct(* EXCEPT (id, s.ts), id + 1 AS next)) AS j, struct(s.* EXCEPT (card)) AS s FROM sales s;
