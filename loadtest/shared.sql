-- The loyalty job for several processes that share it.
SET jobName = 'shared';
SET assignment = 'group';
SET checkpointLocation = './checkpoints';

CREATE TABLE invoices (
  BillNo STRING, CreatedTime BIGINT, StoreID STRING, PaymentMode STRING, CustomerCardNo STRING, TotalValue DOUBLE
) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', subscribe '${INPUT}', startingOffsets 'earliest', format 'json',
  kafka.session.timeout.ms '6000', kafka.heartbeat.interval.ms '200');

CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', topic '${OUTPUT}', format 'json', key 'BillNo');

INSERT INTO notification
SELECT BillNo, CustomerCardNo, TotalValue, TotalValue * 0.2 AS EarnedLoyaltyPoints FROM invoices;
