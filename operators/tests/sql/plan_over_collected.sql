CREATE TABLE invoices (
  BillNo STRING, StoreID STRING, Card STRING, TotalValue DOUBLE, Points BIGINT, Tags ARRAY<STRING>, CreatedTime BIGINT
) USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'invoices', format 'json')
  WATERMARK timestamp_millis(CreatedTime) AS ts DELAY OF INTERVAL 10 MINUTES;
SELECT BillNo, median(TotalValue) OVER w AS usual, max_by(BillNo, TotalValue, 2) OVER w AS best,
  listagg(StoreID, ' ') WITHIN GROUP (ORDER BY TotalValue DESC) OVER w AS stores
FROM invoices
WINDOW w AS (PARTITION BY Card ORDER BY ts RANGE BETWEEN INTERVAL 1 HOUR PRECEDING AND CURRENT ROW);
