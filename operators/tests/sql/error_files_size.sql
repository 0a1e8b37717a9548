SET checkpointLocation = './checkpoints';
CREATE TABLE events (id BIGINT, kind STRING, at TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers 'localhost:9092', subscribe 'events', format 'json');
CREATE TABLE archive USING json OPTIONS (path 'archive', rollSize 'large');
INSERT INTO archive SELECT id FROM events;
