-- loyalty_spark.sql: the loyalty job as it is written for Spark: Kafka's own columns, JSON taken apart and made by functions.
SET checkpointLocation = './checkpoints';

CREATE TABLE invoices USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'invoices', startingOffsets 'earliest');

CREATE TABLE notifications USING kafka OPTIONS (kafka.bootstrap.servers '${KAFKA:-localhost:9092}', topic 'notifications');

CREATE VIEW bills AS
SELECT key, from_json(CAST(value AS STRING),
  'InvoiceNumber STRING, CreatedTime BIGINT, StoreID STRING, PaymentMode STRING, CustomerCardNo STRING, TotalAmount DOUBLE') AS bill
FROM invoices;

INSERT INTO notifications
SELECT key, to_json(named_struct(
  'CustomerCardNo', bill.CustomerCardNo,
  'TotalAmount', bill.TotalAmount,
  'EarnedLoyaltyPoints', bill.TotalAmount * 0.2)) AS value
FROM bills
WHERE bill.CustomerCardNo IS NOT NULL;
