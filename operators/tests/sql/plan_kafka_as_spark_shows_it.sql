CREATE TABLE raw USING kafka OPTIONS (kafka.bootstrap.servers 'b:1', subscribe 'raw');
SELECT CAST(key AS STRING), CAST(value AS STRING), topic, partition, offset, timestamp, timestampType FROM raw;
