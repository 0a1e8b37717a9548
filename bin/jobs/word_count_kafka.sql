-- word_count_kafka.sql: counts the words in the values of a topic; every 8 seconds all counts go to another, the word as the key.
-- Kill it and start it again: the counts go on.
SET checkpointLocation = './checkpoints';

CREATE TABLE lines USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'lines', startingOffsets 'earliest');

CREATE TABLE counts USING kafka OPTIONS (kafka.bootstrap.servers '${KAFKA:-localhost:9092}', topic 'counts');

SET outputMode = 'complete';
SET trigger = '8 seconds';
INSERT INTO counts
SELECT word AS key, CAST(count(*) AS STRING) AS value
FROM (SELECT explode(split(CAST(value AS STRING), ' ')) AS word FROM lines)
GROUP BY word;
