SET checkpointLocation = './checkpoints';

CREATE TABLE impressions (impressionAdId STRING, impressionTime TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'impressions', startingOffsets 'earliest',
  format 'json', mode 'PERMISSIVE')
  WATERMARK impressionTime DELAY OF INTERVAL 2 HOURS;

CREATE TABLE clicks (clickAdId STRING, clickTime TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'clicks', startingOffsets 'earliest',
  format 'json', mode 'PERMISSIVE')
  WATERMARK clickTime DELAY OF INTERVAL 3 HOURS;

CREATE TABLE matches USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', topic 'matches');

INSERT INTO matches
SELECT impressionAdId AS key, to_json(struct(*)) AS value
FROM impressions LEFT JOIN clicks
  ON clickAdId = impressionAdId
  AND clickTime >= impressionTime
  AND clickTime <= impressionTime + INTERVAL 1 HOUR;
