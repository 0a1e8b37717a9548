-- For each invoice what its card has spent so far and in the last minute; beside it a total for each card.
SET jobName = 'soak';
SET checkpointLocation = './checkpoints';

CREATE TABLE invoices (
  BillNo STRING, CreatedTime BIGINT, CustomerCardNo STRING, TotalValue DOUBLE
) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', subscribe '${INPUT}', startingOffsets 'earliest', format 'json')
WATERMARK timestamp_millis(CreatedTime) AS at DELAY OF INTERVAL 5 SECONDS;

CREATE TABLE answers USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', topic '${OUTPUT}', format 'json', key 'BillNo');
CREATE TABLE nowhere USING noop;

INSERT INTO answers
SELECT BillNo, count(*) OVER so_far AS bills, sum(TotalValue) OVER so_far AS spent,
  count(*) OVER minute AS lately, TotalValue - lag(TotalValue) OVER so_far AS more
FROM invoices
WINDOW so_far AS (PARTITION BY CustomerCardNo ORDER BY at),
  minute AS (PARTITION BY CustomerCardNo ORDER BY at RANGE BETWEEN INTERVAL 1 MINUTE PRECEDING AND CURRENT ROW);

SET outputMode = 'update';
SET queryName = 'totals';
INSERT INTO nowhere SELECT CustomerCardNo, count(*) AS bills, sum(TotalValue) AS spent FROM invoices GROUP BY CustomerCardNo;
