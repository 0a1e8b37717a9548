CREATE TABLE a (id StringType(), n IntegerType()) USING kafka OPTIONS (
  kafka.bootstrap.servers 'localhost:9092', subscribe 'a', format 'json');
SELECT id FROM a;
