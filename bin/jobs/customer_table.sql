-- customer_table.sql: each transaction with its customer, as the compacted topic `customers` has it at that moment
SET checkpointLocation = './checkpoints';

CREATE TABLE transactions (id STRING, user STRING, amount DOUBLE, at TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'transactions', startingOffsets 'earliest', format 'json');

-- The message key is the id, a null value deletes the customer.
CREATE TABLE customers (id STRING PRIMARY KEY, name STRING, country STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'customers', format 'json');

CREATE TABLE named USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', topic 'named', format 'json', key 'id');

INSERT INTO named
SELECT t.id, t.user, t.amount, c.name, c.country
FROM transactions t LEFT JOIN customers c ON t.user = c.id;
