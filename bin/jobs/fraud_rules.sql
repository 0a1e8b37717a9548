-- fraud_rules.sql: each card transaction is answered at once by rules: a verdict, the reasons for it, and the features that they
-- rest on. fraud.sql is the same with a model beside the rules; what is written here is what such a model is trained with.
-- Merchants are blocked by the file blocked_merchants.csv, which is read again when another is renamed over it.
-- thalweg-loadtest produce --payload transactions makes such transactions, with planted fraud.
SET checkpointLocation = './checkpoints';

CREATE TABLE transactions (
  id STRING NOT NULL, card STRING NOT NULL, ts TIMESTAMP NOT NULL, amount DOUBLE NOT NULL, currency STRING, merchant STRING, category STRING,
  country STRING, lat DOUBLE, lon DOUBLE, device STRING, channel STRING, declined BOOLEAN)
USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe '${INPUT:-transactions}', startingOffsets 'earliest', format 'json')
PARTITIONED BY (card)
WATERMARK ts DELAY OF INTERVAL 1 MINUTE;

-- FAILFAST, and enforceSchema 'false': a file with a row that does not fit, with another header or without one is not taken, and what
-- was read before stays in force.
CREATE TABLE blocked_merchants (merchant STRING) USING csv OPTIONS (
  path '${BLOCKED:-./blocked_merchants.csv}', static 'true', header 'true', enforceSchema 'false', mode 'FAILFAST');

CREATE TABLE verdicts USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', topic '${OUTPUT:-verdicts}', format 'json', key 'id');

-- All features of a card come from one look at its rows.
CREATE VIEW features AS
SELECT
  id, card, merchant,
  named_struct(
    'amount', amount,
    'ratio', amount / avg(amount) OVER of_card,
    'payments', count(*) OVER of_card,
    'spent_in_an_hour', sum(amount) OVER hour,
    'merchants', count(DISTINCT merchant) OVER minutes,
    'declines', count_if(declined) OVER minutes,
    'seconds_since', (unix_millis(ts) - unix_millis(lag(ts) OVER of_card)) / 1000D,
    -- Away from the last place and from the one before: a card that comes home has been there.
    'km', least(geo_distance_km(lag(lat) OVER of_card, lag(lon) OVER of_card, lat, lon),
      geo_distance_km(lag(lat, 2) OVER of_card, lag(lon, 2) OVER of_card, lat, lon)),
    'kmh', least(speed_kmh(lag(lat) OVER of_card, lag(lon) OVER of_card, lag(ts) OVER of_card, lat, lon, ts),
      speed_kmh(lag(lat, 2) OVER of_card, lag(lon, 2) OVER of_card, lag(ts, 2) OVER of_card, lat, lon, ts)),
    'new_device', if(count(*) OVER (PARTITION BY card, device) = 1, 1, 0)
  ) AS f
FROM transactions
WINDOW of_card AS (PARTITION BY card ORDER BY ts),
  minutes AS (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 2 MINUTES PRECEDING AND CURRENT ROW),
  hour AS (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 1 HOUR PRECEDING AND CURRENT ROW);

-- Each rule is a line. What is certain declines, what is likely is looked at.
INSERT INTO verdicts
SELECT
  id, card,
  array_compact(array(
    if(b.merchant IS NOT NULL, 'blocked merchant', NULL),
    if(f.merchants >= 4 AND f.amount < 5, 'small amounts at many merchants', NULL),
    if(f.km > 100 AND f.kmh > 900, 'nothing travels so fast', NULL),
    if(f.declines >= 3, 'declined again and again', NULL),
    if(f.new_device = 1 AND f.payments > 3 AND f.ratio > 3, 'much more than usual from a new device', NULL)
  )) AS reasons,
  CASE
    WHEN size(reasons) > 1 OR array_contains(reasons, 'blocked merchant') THEN 'decline'
    WHEN size(reasons) = 1 THEN 'review'
    ELSE 'approve'
  END AS verdict,
  f AS features
FROM features t LEFT JOIN blocked_merchants b ON t.merchant = b.merchant;
