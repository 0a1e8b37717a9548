-- By card over an input that is partitioned by something else: two halves, with a topic between them.
SET checkpointLocation = 'checkpoints';
SET exchange = 'topic';
CREATE TABLE invoices (BillNo STRING, card STRING, total DOUBLE, ts TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers 'broker:9092', subscribe 'invoices', format 'json')
  WATERMARK ts DELAY OF INTERVAL 10 SECONDS;
CREATE TABLE out USING kafka OPTIONS (kafka.bootstrap.servers 'broker:9092', topic 'out', format 'json', key 'card');
INSERT INTO out
SELECT card, window.start AS minute, count(*) AS bills, sum(total) AS spent
FROM invoices WHERE total > 0 GROUP BY card, window(ts, '1 minute');
