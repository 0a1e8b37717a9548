SET checkpointLocation = 'checkpoints';
SET outputMode = 'update';
SET exchange = 'topic';
CREATE TABLE invoices (card STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers 'broker:9092', subscribe 'invoices', format 'json');
CREATE TABLE out USING kafka OPTIONS (kafka.bootstrap.servers 'broker:9092', topic 'out', format 'json');
INSERT INTO out SELECT card, count(*) AS bills FROM invoices WHERE rand() < 0.1 GROUP BY card;
