-- Loyalty points, from a broker that asks for TLS, a certificate and a password. All of them are files of Secrets.
SET jobName = 'loyalty-secured';
SET checkpointLocation = '/var/lib/thalweg/checkpoints';

CREATE TABLE invoices (
  BillNo STRING, CustomerCardNo STRING, TotalValue DOUBLE
) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}',
  kafka.security.protocol 'SASL_SSL',
  kafka.ssl.ca.location '/run/secrets/kafka-tls/ca.crt',
  kafka.ssl.certificate.location '/run/secrets/kafka-tls/tls.crt',
  kafka.ssl.key.location '/run/secrets/kafka-tls/tls.key',
  kafka.sasl.mechanism 'SCRAM-SHA-512',
  kafka.sasl.username '${file:/run/secrets/kafka-login/username}',
  kafka.sasl.password '${file:/run/secrets/kafka-login/password}',
  subscribe 'invoices', startingOffsets 'earliest', format 'json');

CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}',
  kafka.security.protocol 'SASL_SSL',
  kafka.ssl.ca.location '/run/secrets/kafka-tls/ca.crt',
  kafka.ssl.certificate.location '/run/secrets/kafka-tls/tls.crt',
  kafka.ssl.key.location '/run/secrets/kafka-tls/tls.key',
  kafka.sasl.mechanism 'SCRAM-SHA-512',
  kafka.sasl.username '${file:/run/secrets/kafka-login/username}',
  kafka.sasl.password '${file:/run/secrets/kafka-login/password}',
  topic 'notification', format 'json', key 'BillNo');

INSERT INTO notification
SELECT BillNo, CustomerCardNo, TotalValue * 0.2 AS EarnedLoyaltyPoints FROM invoices;
