-- demo.sql: card transactions with planted fraud, made up from a counter; for each at once features of its card, a score, a verdict,
-- and the reasons. The suspicious ones come to the console.
-- Needs no server: thalweg run bin/jobs/demo.sql scores by rules. thalweg demo scores with a model where it finds the ONNX runtime,
-- and counts how many of the planted ones were found.
SET jobName = 'demo';

-- Each tick is a second of the cards' time: of 1,000 cards each pays every 1,000 seconds.
CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '2000', numPartitions '1')
  WATERMARK timestamp_seconds(1767225600 + value) AS ts DELAY OF INTERVAL 10 SECONDS;
CREATE TABLE judged USING noop;

-- A number from 0 to below n that is always the same for a number and a purpose.
CREATE TEMPORARY FUNCTION draw(number BIGINT, purpose STRING, n INT) RETURNS BIGINT RETURN abs(xxhash64(number, purpose) % n);
CREATE TEMPORARY FUNCTION part(number BIGINT, purpose STRING) RETURNS DOUBLE RETURN draw(number, purpose, 65536) / 65536D;

-- Ticks are dealt to eight slots in turn, each every eight seconds. Half of all stretches of 64 ticks of a slot begin with a
-- pattern of fraud on one card.
CREATE VIEW planned AS
SELECT
  value, ts,
  value DIV 512 * 8 + value % 8 AS stretch,
  value DIV 8 % 64 AS step,
  if(draw(stretch, 'planted', 2) = 0, CAST(draw(stretch, 'pattern', 4) AS INT), NULL) AS pattern,
  coalesce(step < element_at(array(8, 2, 6, 1), pattern + 1), false) AS theirs,
  if(theirs, draw(stretch, 'victim', 1000), draw(value, 'card', 1000)) AS number,
  -- The first of an impossible travel is an honest one at home.
  if(theirs AND NOT (pattern = 1 AND step = 0),
    element_at(array('card testing', 'impossible travel', 'burst of declines', 'new device'), pattern + 1), NULL) AS planted
FROM ticks;

CREATE VIEW transactions AS
SELECT
  value AS id,
  concat('4000-', lpad(CAST(number AS STRING), 4, '0')) AS card,
  ts,
  -- Around the card's own level: a third of it to three times as much.
  8 * exp(2 * part(number, 'level')) AS level,
  exp(0.75 * (part(value, 'a') + part(value, 'b') + part(value, 'c') - 1.5)) AS share,
  CASE planted
    WHEN 'card testing' THEN round(0.5 + 2 * part(value, 'small'), 2)
    WHEN 'burst of declines' THEN round(3 * level * share, 2)
    WHEN 'new device' THEN round(12 * level * share, 2)
    ELSE round(level * share, 2)
  END AS amount,
  concat('M', lpad(CAST(draw(value, 'merchant', 5000) AS STRING), 4, '0')) AS merchant,
  element_at(array('groceries', 'fuel', 'restaurant', 'clothes', 'electronics', 'travel', 'gift cards', 'games'),
    CAST(draw(value, 'merchant', 5000) % 8 + 1 AS INT)) AS category,
  -- Four towns further is another continent.
  element_at(array(
    named_struct('country', 'DE', 'currency', 'EUR', 'lat', 52.52D, 'lon', 13.405D),
    named_struct('country', 'FR', 'currency', 'EUR', 'lat', 48.8566D, 'lon', 2.3522D),
    named_struct('country', 'ES', 'currency', 'EUR', 'lat', 40.4168D, 'lon', -3.7038D),
    named_struct('country', 'PL', 'currency', 'PLN', 'lat', 52.2297D, 'lon', 21.0122D),
    named_struct('country', 'US', 'currency', 'USD', 'lat', 40.7128D, 'lon', -74.006D),
    named_struct('country', 'BR', 'currency', 'BRL', 'lat', -23.5505D, 'lon', -46.6333D),
    named_struct('country', 'JP', 'currency', 'JPY', 'lat', 35.6762D, 'lon', 139.6503D),
    named_struct('country', 'AU', 'currency', 'AUD', 'lat', -33.8688D, 'lon', 151.2093D)),
    CAST((draw(number, 'town', 8) + if(planted = 'impossible travel', 4, 0)) % 8 + 1 AS INT)) AS town,
  town.country,
  town.currency,
  town.lat + 0.04 * (part(value, 'north') - 0.5) AS lat,
  town.lon + 0.04 * (part(value, 'east') - 0.5) AS lon,
  if(planted IN ('card testing', 'new device'), concat('X', stretch), concat('D', number, '-', if(draw(value, 'device', 5) = 0, 1, 0))) AS device,
  if(planted IN ('card testing', 'new device') OR draw(value, 'channel', 10) < 3, 'online', 'shop') AS channel,
  if(theirs, coalesce(planted = 'burst of declines' AND step < 5, false), draw(value, 'declined', 50) = 0) AS declined,
  planted
FROM planned;

-- All features of a card come from one look at its rows.
CREATE VIEW features AS
SELECT
  id, card, ts, amount, merchant, country, planted,
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

-- Each rule is a line.
CREATE VIEW ruled AS
SELECT
  *,
  array_compact(array(
    if(f.merchants >= 4 AND f.amount < 5, 'small amounts at many merchants', NULL),
    if(f.km > 100 AND f.kmh > 900, 'nothing travels so fast', NULL),
    if(f.declines >= 3, 'declined again and again', NULL),
    if(f.new_device = 1 AND f.payments > 3 AND f.ratio > 3, 'much more than usual from a new device', NULL)
  )) AS ruled
FROM features;

-- The number of reasons is the score. thalweg demo puts the model of fraud.sql here where it finds the ONNX runtime.
CREATE VIEW scored AS
SELECT *, least(0.6D * size(ruled), 1D) AS score, CAST(NULL AS STRING) AS seen FROM ruled;

CREATE VIEW verdicts AS
SELECT
  ts, card, amount, merchant, country,
  round(score, 3) AS score,
  CASE
    WHEN score >= 0.9 OR size(ruled) > 1 THEN 'decline'
    WHEN score >= 0.5 OR size(ruled) = 1 THEN 'review'
    ELSE 'approve'
  END AS verdict,
  array_compact(array_append(ruled, seen)) AS reasons,
  planted
FROM scored;

SET queryName = 'suspicious';
SELECT * FROM verdicts WHERE verdict <> 'approve';

SET queryName = 'score';
INSERT INTO judged SELECT planted, verdict FROM verdicts;
