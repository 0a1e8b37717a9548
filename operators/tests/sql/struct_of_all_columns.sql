SET checkpointLocation = './checkpoints';
CREATE TABLE a (id STRING, n INT) USING kafka OPTIONS (
  kafka.bootstrap.servers 'localhost:9092', subscribe 'a', format 'json');
CREATE TABLE o USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', topic 'o');
INSERT INTO o SELECT id AS key, to_json(struct(*)) AS value FROM a;
CREATE TABLE p USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', topic 'p');
INSERT INTO p SELECT to_json(struct(b.*, upper(id) AS name, hash(*) AS digest)) AS value FROM a AS b;
CREATE TABLE groups USING noop;
SET outputMode = 'update';
INSERT INTO groups SELECT struct(*) AS whole, count(*) AS n FROM a GROUP BY struct(*);
CREATE TABLE b (id STRING, place STRUCT<city: STRING, at: STRUCT<x: INT, y: INT>>) USING kafka OPTIONS (
  kafka.bootstrap.servers 'localhost:9092', subscribe 'b', format 'json');
SET outputMode = 'append';
CREATE TABLE q USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', topic 'q');
INSERT INTO q SELECT to_json(struct(id, place.*, b.place.at.*)) AS value FROM b;
