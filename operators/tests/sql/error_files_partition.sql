SET checkpointLocation = './checkpoints';
CREATE TABLE events (id BIGINT, kind STRING, at TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers 'localhost:9092', subscribe 'events', format 'json');
CREATE TABLE archive USING json OPTIONS (path 'archive') PARTITIONED BY (dya);
INSERT INTO archive SELECT id, CAST(at AS DATE) AS day FROM events;
