SET checkpointLocation = './checkpoints';

CREATE TABLE merchants (id STRING, name STRING, city STRING) USING csv OPTIONS (
  path './merchants.csv', static 'true', header 'true');

CREATE TABLE transactions (id STRING, merchant STRING, amount DECIMAL(12,2)) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'transactions', startingOffsets 'earliest',
  failOnDataLoss 'false', format 'json', mode 'PERMISSIVE');

CREATE TABLE named USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', topic 'named');

INSERT INTO named
SELECT t.id AS key,
  to_json(struct(t.id, t.amount, coalesce(m.name, 'unknown') AS merchant, m.city)) AS value
FROM transactions t LEFT JOIN merchants m ON t.merchant = m.id;
