-- card_totals.sql: a transaction comes in, the running count and sum of its card go out, one answer for each
SET checkpointLocation = './checkpoints';

CREATE TABLE transactions (id STRING NOT NULL, card STRING NOT NULL, amount DOUBLE) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'transactions', startingOffsets 'earliest', format 'json');

CREATE TABLE totals USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', topic 'totals', format 'json', key 'card');

INSERT INTO totals
SELECT id, card, amount, count(*) OVER of_card AS transactions, sum(amount) OVER of_card AS total
FROM transactions
WINDOW of_card AS (PARTITION BY card);
