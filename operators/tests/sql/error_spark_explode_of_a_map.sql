CREATE TABLE a (id STRING, tags MAP<STRING, INT>) USING kafka OPTIONS (
  kafka.bootstrap.servers 'localhost:9092', subscribe 'a', format 'json');
SELECT id, explode(tags) AS tag FROM a;
