-- A running count for each card, by three pods: the input is partitioned by card. The checkpoints lie in a bucket.
SET jobName = 'card-counts';
SET assignment = 'group';
SET checkpointLocation = 's3://streams-checkpoints/card-counts';
-- A request for each epoch of each partition: a second is dear.
SET checkpointInterval = '5 seconds';
SET outputMode = 'update';

CREATE TABLE transactions (card STRING NOT NULL, amount DOUBLE) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', subscribe 'transactions', startingOffsets 'earliest', format 'json',
  kafka.heartbeat.interval.ms '200') PARTITIONED BY (card);

CREATE TABLE card_counts USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', topic 'card-counts', format 'json', key 'card');

INSERT INTO card_counts
SELECT card, count(*) AS payments, sum(amount) AS total FROM transactions GROUP BY card;
