CREATE TABLE a (x INT, y INT, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'a', format 'json') WATERMARK ts DELAY OF INTERVAL 10 MINUTES;
CREATE TABLE b (x INT, y INT, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'b', format 'json') WATERMARK ts DELAY OF INTERVAL 10 MINUTES;
CREATE TABLE c (x INT, y INT, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'c', format 'json') WATERMARK ts DELAY OF INTERVAL 10 MINUTES;
SELECT a.x, b.y FROM a, b JOIN c ON b.x = c.x AND c.ts BETWEEN b.ts AND b.ts + INTERVAL 1 HOUR WHERE a.y = c.y AND a.ts BETWEEN c.ts AND c.ts + INTERVAL 1 HOUR;
