SET frameStep = '1 minute';
CREATE TABLE events (card STRING, amount DOUBLE, ts TIMESTAMP) USING file OPTIONS (path 'e', format 'json');
SELECT sum(amount) OVER (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 10 SECONDS PRECEDING AND CURRENT ROW) FROM events;
