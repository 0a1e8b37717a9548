-- word_count_keyed.sql: counts the words of each message key, and writes what changed in each second under that key.
SET checkpointLocation = './checkpoints';

CREATE TABLE events USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'events', startingOffsets 'earliest');

CREATE TABLE event_counts USING kafka OPTIONS (kafka.bootstrap.servers '${KAFKA:-localhost:9092}', topic 'event-counts');

SET outputMode = 'update';
SET trigger = '1 second';
INSERT INTO event_counts
SELECT key, concat(word, ' ', count(*)) AS value
FROM (SELECT key, explode(split(CAST(value AS STRING), ' ')) AS word FROM events)
GROUP BY key, word;
