CREATE TABLE raw USING kafka OPTIONS (kafka.bootstrap.servers 'b:1', subscribe 'raw');
SELECT from_json(CAST(value AS STRING), 'a INT, b STRUCT<c: STRING>') AS data FROM raw;
