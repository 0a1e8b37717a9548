CREATE TABLE out USING noop;
CREATE TABLE raw USING kafka OPTIONS (kafka.bootstrap.servers 'b:1', subscribe 'raw');
INSERT INTO out SELECT value FROM raw WATERMARK timestamp DELAY OF INTERVAL 1 DAY 2 HOURS;
