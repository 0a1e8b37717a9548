-- archive.sql: a topic kept for good, in Parquet files of an hour each in a folder for each day: every record once.
-- Needs a build with Parquet: cargo build --release --features parquet
SET checkpointLocation = './checkpoints';

CREATE TABLE payments (
  id BIGINT, card STRING, amount DECIMAL(12,2), items ARRAY<STRING>, at TIMESTAMP
) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'payments', startingOffsets 'earliest', format 'json');

CREATE TABLE archive USING parquet OPTIONS (
  path '${ARCHIVE:-./archive}', rollInterval '1 hour', rollSize '256 MB') PARTITIONED BY (day);

INSERT INTO archive
SELECT id, card, amount, items, at, CAST(at AS DATE) AS day FROM payments;
