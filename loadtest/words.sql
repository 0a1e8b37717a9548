-- How often each word has come, once a second what has changed.
SET jobName = 'words';
SET checkpointLocation = './checkpoints';
SET outputMode = 'update';
SET trigger = '1 second';

CREATE TABLE lines USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', subscribe '${INPUT}', startingOffsets 'earliest');

CREATE TABLE counts USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', topic '${OUTPUT}');

INSERT INTO counts
SELECT word AS key, CAST(count(*) AS STRING) AS value
FROM (SELECT explode(split(CAST(value AS STRING), ' ')) AS word FROM lines)
GROUP BY word;
