SET checkpointLocation = './checkpoints';
CREATE TABLE events (id BIGINT, kind STRING, at TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers 'localhost:9092', subscribe 'events', format 'json');
CREATE TABLE archive USING json OPTIONS (path 'archive', compression 'gzip', rollSize '64 MB') PARTITIONED BY (day, kind);
INSERT INTO archive SELECT *, CAST(at AS DATE) AS day FROM events;
CREATE TABLE lines (value STRING) USING text OPTIONS (path 'lines');
INSERT INTO lines SELECT to_json(named_struct('id', id, 'kind', kind)) AS value FROM events;
