SET 'execution.checkpointing.interval' = '1 s';
SET 'execution.checkpointing.mode' = 'AT_LEAST_ONCE';
SET 'execution.checkpointing.dir' = 'file://${CHECKPOINT}';
SET 'execution.buffer-timeout.interval' = '0 ms';
SET 'pipeline.object-reuse' = 'true';

CREATE TABLE invoices (
  BillNo STRING, CreatedTime BIGINT, StoreID STRING, PaymentMode STRING, CustomerCardNo STRING, TotalValue DOUBLE
) WITH (
  'connector' = 'kafka', 'properties.bootstrap.servers' = '${KAFKA}', 'topic' = '${INPUT}', 'properties.group.id' = 'flink-${INPUT}',
  'scan.startup.mode' = 'group-offsets', 'properties.auto.offset.reset' = 'earliest', 'format' = 'json');

CREATE TABLE notification (
  BillNo STRING, CustomerCardNo STRING, TotalValue DOUBLE, EarnedLoyaltyPoints DOUBLE
) WITH (
  'connector' = 'kafka', 'properties.bootstrap.servers' = '${KAFKA}', 'topic' = '${OUTPUT}', 'format' = 'json',
  'key.format' = 'raw', 'key.fields' = 'BillNo', 'sink.delivery-guarantee' = 'at-least-once', 'properties.linger.ms' = '0');

INSERT INTO notification SELECT BillNo, CustomerCardNo, TotalValue, TotalValue * 0.2 FROM invoices;
