-- login_join.sql: each transaction with the logins of its user in the ten minutes before it
SET checkpointLocation = './checkpoints';

CREATE TABLE transactions (id STRING, user STRING, amount DOUBLE, at TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'transactions', startingOffsets 'earliest', format 'json')
WATERMARK at DELAY OF INTERVAL 1 MINUTE;

CREATE TABLE logins (user STRING, ip STRING, at TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'logins', startingOffsets 'earliest', format 'json')
WATERMARK at DELAY OF INTERVAL 1 MINUTE;

CREATE TABLE matches USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', topic 'matches', format 'json', key 'id');

INSERT INTO matches
SELECT t.id, t.user, t.amount, l.ip, l.at AS login
FROM transactions t JOIN logins l
  ON t.user = l.user AND l.at BETWEEN t.at - INTERVAL 10 MINUTES AND t.at;
