CREATE TABLE a (id STRING, place STRUCT<city: STRING>) USING kafka OPTIONS (
  kafka.bootstrap.servers 'localhost:9092', subscribe 'a', format 'json');
SELECT to_json(struct(places.*)) AS value FROM a;
