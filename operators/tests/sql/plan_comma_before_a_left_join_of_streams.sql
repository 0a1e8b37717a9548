CREATE TABLE a (id INT, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'a', format 'json') WATERMARK ts DELAY OF INTERVAL 10 MINUTES;
CREATE TABLE b (id INT, v INT, ts TIMESTAMP) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'b', format 'json') WATERMARK ts DELAY OF INTERVAL 10 MINUTES;
CREATE TABLE st (k INT, v INT) USING csv OPTIONS (path 'st.csv', static 'true');
SELECT a.id, st.v FROM a, b LEFT JOIN st ON b.v = st.k WHERE a.id = b.id AND a.ts BETWEEN b.ts AND b.ts + INTERVAL 1 HOUR;
