-- loyalty.sql: an invoice comes in, its loyalty points go out
SET checkpointLocation = './checkpoints';

CREATE TABLE invoices (
  BillNo STRING, CreatedTime BIGINT, StoreID STRING, PaymentMode STRING, CustomerCardNo STRING, TotalValue DOUBLE
) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'invoices', startingOffsets 'earliest', format 'json');

CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', topic 'notification', format 'json', key 'BillNo');

INSERT INTO notification
SELECT BillNo, CustomerCardNo, TotalValue, TotalValue * 0.2 AS EarnedLoyaltyPoints FROM invoices;
