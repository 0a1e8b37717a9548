-- The loyalty job between topics that the load test chooses.
SET jobName = 'loyalty';
SET checkpointLocation = './checkpoints';

CREATE TABLE invoices (
  BillNo STRING, CreatedTime BIGINT, StoreID STRING, PaymentMode STRING, CustomerCardNo STRING, TotalValue DOUBLE
) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', subscribe '${INPUT}', startingOffsets 'earliest', format 'json');

CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', topic '${OUTPUT}', format 'json', key 'BillNo');

INSERT INTO notification
SELECT BillNo, CustomerCardNo, TotalValue, TotalValue * 0.2 AS EarnedLoyaltyPoints FROM invoices;
