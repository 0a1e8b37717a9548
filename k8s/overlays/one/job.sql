-- Invoices over 1,000 go to a topic of their own.
SET jobName = 'large-invoices';
SET checkpointLocation = '/var/lib/thalweg/checkpoints';

CREATE TABLE invoices (
  BillNo STRING, StoreID STRING, CustomerCardNo STRING, TotalValue DOUBLE
) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', subscribe 'invoices', startingOffsets 'latest', format 'json');

CREATE TABLE large_invoices USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', topic 'large-invoices', format 'json', key 'CustomerCardNo');

INSERT INTO large_invoices
SELECT BillNo, StoreID, CustomerCardNo, TotalValue FROM invoices WHERE TotalValue > 1000;
