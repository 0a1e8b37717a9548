-- purchases_per_minute.sql: JSON files keep arriving in a folder; the purchases of each district and minute, in each of the three
-- output modes. Needs no server: ACTIONS=./actions thalweg run bin/jobs/purchases_per_minute.sql
CREATE TABLE actions (user STRING, action STRING, district STRING, eventTime TIMESTAMP) USING json OPTIONS (
  path '${ACTIONS:-./actions}', maxFilesPerTrigger '100')
  WATERMARK eventTime DELAY OF INTERVAL 10 MINUTES;

CREATE TABLE everything USING console OPTIONS (truncate 'false', numRows '1000');
CREATE TABLE closed USING console OPTIONS (truncate 'false');
CREATE TABLE changed USING console OPTIONS (truncate 'false');

CREATE VIEW counted AS
SELECT district, window(eventTime, '1 minute') AS minute, count(*) AS purchases
FROM actions
WHERE action = 'purchase'
GROUP BY district, window(eventTime, '1 minute');

SET trigger = '10 seconds';

-- All minutes there ever were, in order.
SET outputMode = 'complete';
INSERT INTO everything SELECT minute, district, purchases FROM counted ORDER BY minute, district;

-- Each minute once, when the watermark has passed its end.
SET outputMode = 'append';
INSERT INTO closed SELECT minute, district, purchases FROM counted;

-- The minutes that have changed since the last trigger.
SET outputMode = 'update';
INSERT INTO changed SELECT minute, district, purchases FROM counted;
