SET frameStep = '1 minute';
CREATE TABLE events (card STRING, amount DOUBLE, ts TIMESTAMP) USING file OPTIONS (path 'e', format 'json');
SELECT count(DISTINCT amount) OVER (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 1 HOUR PRECEDING AND CURRENT ROW) FROM events;
