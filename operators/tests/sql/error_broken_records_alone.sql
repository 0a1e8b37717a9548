CREATE TABLE readings (sensor STRING, degrees DOUBLE, _corrupt_record STRING) USING json OPTIONS (path './readings');
CREATE TABLE broken USING noop;

INSERT INTO broken SELECT _corrupt_record AS text FROM readings WHERE _corrupt_record IS NOT NULL;
