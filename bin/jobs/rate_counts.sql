-- rate_counts.sql: five rows a second, counted by their last digit; what changed comes to the console, not truncated.
-- Needs no server: thalweg run bin/jobs/rate_counts.sql
CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '5');
CREATE TABLE screen USING console OPTIONS (truncate 'false');

SET outputMode = 'update';
SET trigger = '2 seconds';
INSERT INTO screen
SELECT value % 10 AS last_digit, count(*) AS count, max(timestamp) AS newest
FROM ticks
GROUP BY value % 10;
