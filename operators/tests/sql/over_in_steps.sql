-- Frames in panes of a minute; lag and ROWS frames keep rows, in a step of their own.
SET frameStep = '1 minute';
SET checkpointLocation = 'c';
CREATE TABLE events (card STRING, amount DOUBLE, ts TIMESTAMP)
  USING file OPTIONS (path 'e', format 'json') WATERMARK ts DELAY OF INTERVAL 10 SECONDS;
CREATE TABLE features USING file OPTIONS (path 'f');
INSERT INTO features
SELECT card, count(*) OVER hour AS n, max(amount) OVER day AS most,
  lag(amount) OVER (PARTITION BY card ORDER BY ts) AS before,
  avg(amount) OVER (PARTITION BY card ORDER BY ts ROWS 5 PRECEDING) AS near,
  sum(amount) OVER (PARTITION BY card) AS total
FROM events
WINDOW hour AS (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 1 HOUR PRECEDING AND CURRENT ROW),
  day AS (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 1 DAY PRECEDING AND CURRENT ROW);
