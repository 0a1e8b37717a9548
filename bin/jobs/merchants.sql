-- merchants.sql: each transaction with its merchant, as the file merchants.csv says at that moment. To change it, write another
-- file and rename it over this one: mv merchants.new merchants.csv
SET checkpointLocation = './checkpoints';

CREATE TABLE transactions (id STRING, merchant STRING, amount DOUBLE) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'transactions', startingOffsets 'earliest', format 'json');

-- FAILFAST, and enforceSchema 'false': a file with a row that does not fit, with another header or without one is not taken, and what
-- was read before stays in force.
CREATE TABLE merchants (id STRING, name STRING, city STRING) USING csv OPTIONS (
  path '${MERCHANTS:-./merchants.csv}', static 'true', header 'true', enforceSchema 'false', mode 'FAILFAST');

CREATE TABLE named USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', topic 'named', format 'json', key 'id');

INSERT INTO named
SELECT t.id, t.amount, m.name, m.city
FROM transactions t LEFT JOIN merchants m ON t.merchant = m.id;
