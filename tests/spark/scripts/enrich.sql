SET checkpointLocation = './checkpoints';

CREATE TABLE invoices USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'invoices', startingOffsets 'earliest');

CREATE TABLE enriched USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', topic 'enriched');

CREATE VIEW bills AS
SELECT key, bill.*
FROM (SELECT key, from_json(CAST(value AS STRING),
        'InvoiceNumber STRING, CreatedTime BIGINT, StoreID STRING, CustomerCardNo STRING,
         TotalAmount DOUBLE, Lines ARRAY<STRUCT<Item: STRING, Price: DOUBLE, Qty: INT>>') AS bill
      FROM invoices)
WHERE bill.CustomerCardNo IS NOT NULL;

CREATE VIEW rated AS
SELECT * EXCEPT (CreatedTime, Lines),
  timestamp_millis(CreatedTime) AS CreatedAt,
  transform(Lines, line -> line.Item) AS Items,
  TotalAmount * 0.2 AS Points,
  CASE WHEN TotalAmount >= 1000 THEN 'gold' WHEN TotalAmount >= 100 THEN 'silver' ELSE 'plain' END AS Tier
FROM bills;

INSERT INTO enriched
SELECT key,
  to_json(struct(InvoiceNumber, StoreID, CustomerCardNo, TotalAmount, CreatedAt, Items, Points, Tier)) AS value
FROM rated;
