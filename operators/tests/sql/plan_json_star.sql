CREATE TABLE raw USING kafka OPTIONS (kafka.bootstrap.servers 'b:1', subscribe 'raw');
SELECT data.* FROM (SELECT from_json(CAST(value AS STRING), 'a INT, b STRING') AS data FROM raw) WHERE data.a > 1;
