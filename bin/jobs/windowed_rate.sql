-- windowed_rate.sql: made-up rows counted in windows of 10 seconds that begin every 5, in each of the three output modes.
-- Needs no server: thalweg run bin/jobs/windowed_rate.sql
CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '5', numPartitions '1')
  WATERMARK timestamp DELAY OF INTERVAL 5 SECONDS;

CREATE TABLE closed USING console OPTIONS (truncate 'false');
CREATE TABLE changed USING console OPTIONS (truncate 'false');
CREATE TABLE everything USING console OPTIONS (truncate 'false');

CREATE VIEW counted AS
SELECT window(timestamp, '10 seconds', '5 seconds') AS seconds, count(*) AS count
FROM ticks
GROUP BY window(timestamp, '10 seconds', '5 seconds');

SET trigger = '5 seconds';

-- Each window once, when the watermark has passed its end.
SET outputMode = 'append';
INSERT INTO closed SELECT seconds, count FROM counted;

-- The windows that have changed since the last trigger.
SET outputMode = 'update';
INSERT INTO changed SELECT seconds, count FROM counted;

-- All windows there ever were.
SET outputMode = 'complete';
INSERT INTO everything SELECT seconds, count FROM counted ORDER BY seconds;
