CREATE TABLE t USING rate;
CREATE TABLE o USING kafka OPTIONS (kafka.bootstrap.servers 'b:1', topic 'o', asyncProgressTrackingEnabled 'true');
INSERT INTO o SELECT CAST(value AS STRING) AS value FROM t;
