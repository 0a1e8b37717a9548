SET checkpointLocation = './checkpoints';
SET timeZone = 'UTC';

CREATE TABLE actions (user STRING, action STRING, district STRING, amount DOUBLE, eventTime TIMESTAMP) USING json OPTIONS (
  path './actions', maxFilesPerTrigger '1');

CREATE TABLE minutes USING json OPTIONS (path './minutes');

CREATE VIEW purchases AS SELECT * FROM actions WHERE action = 'purchase';

SET outputMode = 'append';
SET trigger = '10 seconds';
INSERT INTO minutes
SELECT window.start, window.end, district, count(*) AS purchases, avg(amount) AS mean
FROM purchases WATERMARK eventTime DELAY OF INTERVAL 10 MINUTES
GROUP BY window(eventTime, '5 minutes', '1 minute'), district;
