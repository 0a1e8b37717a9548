-- For each invoice the count and the sum of its card so far; one lane reads all partitions.
SET jobName = 'totals';
SET checkpointLocation = './checkpoints';

CREATE TABLE invoices (
  BillNo STRING, CreatedTime BIGINT, CustomerCardNo STRING, TotalValue DOUBLE
) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', subscribe '${INPUT}', startingOffsets 'earliest', format 'json');

CREATE TABLE totals USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', topic '${OUTPUT}', format 'json', key 'BillNo');

INSERT INTO totals
SELECT BillNo, CustomerCardNo,
       count(*) OVER (PARTITION BY CustomerCardNo ORDER BY CreatedTime) AS Bills,
       sum(TotalValue) OVER (PARTITION BY CustomerCardNo ORDER BY CreatedTime) AS Spent
FROM invoices;
