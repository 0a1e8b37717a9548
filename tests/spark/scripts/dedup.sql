SET checkpointLocation = './checkpoints';

CREATE TABLE events (id STRING, at TIMESTAMP, card STRING, note STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'events', startingOffsets 'earliest',
  maxOffsetsPerTrigger '1', format 'json', mode 'PERMISSIVE')
  WATERMARK at DELAY OF INTERVAL 10 MINUTES;

CREATE TABLE `unique` USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', topic 'unique');

CREATE VIEW first AS
SELECT id, at, sha2(card, 256) AS card, note AS remark FROM (SELECT DISTINCT ON (id, at) * FROM events);

SET trigger = 'available now';
INSERT INTO `unique` SELECT to_json(struct(*)) AS value FROM first;
