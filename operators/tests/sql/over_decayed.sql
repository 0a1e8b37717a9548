-- What fades is one step with the frames beside it.
SET checkpointLocation = 'c';
CREATE TABLE events (card STRING, amount INT, declined BOOLEAN, ts TIMESTAMP)
  USING file OPTIONS (path 'e', format 'json') WATERMARK ts DELAY OF INTERVAL 10 SECONDS;
CREATE TABLE features USING file OPTIONS (path 'f');
INSERT INTO features
SELECT card, count(*) OVER hour AS n,
  decayed_count(INTERVAL 1 HOUR) OVER of_card AS busy,
  decayed_count(INTERVAL 1 HOUR) FILTER (WHERE declined) OVER of_card AS declines,
  decayed_sum(amount, INTERVAL 1 DAY) OVER of_card AS spent,
  spent / decayed_count(INTERVAL 1 DAY) OVER of_card AS mean
FROM events
WINDOW of_card AS (PARTITION BY card ORDER BY ts),
  hour AS (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 1 HOUR PRECEDING AND CURRENT ROW);
