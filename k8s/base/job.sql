-- An invoice comes in, its loyalty points go out. An overlay replaces this file with its own job.
SET jobName = 'loyalty';
SET checkpointLocation = '/var/lib/thalweg/checkpoints';

CREATE TABLE invoices (
  BillNo STRING, CreatedTime BIGINT, StoreID STRING, PaymentMode STRING, CustomerCardNo STRING, TotalValue DOUBLE
) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', subscribe 'invoices', startingOffsets 'earliest', format 'json');

CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', topic 'notification', format 'json', key 'BillNo');

INSERT INTO notification
SELECT BillNo, CustomerCardNo, TotalValue, TotalValue * 0.2 AS EarnedLoyaltyPoints FROM invoices;
