-- A month of the delay is the longest there is: 31 days.
SET checkpointLocation = './c';
CREATE TABLE events (ts TIMESTAMP, k STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers 'localhost:9092', subscribe 'events', format 'json') WATERMARK ts DELAY OF INTERVAL 1 MONTH;
CREATE TABLE out USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', topic 'out', format 'json');
INSERT INTO out SELECT window.start, k, count(*) AS n FROM events GROUP BY window(ts, '1 day'), k;
