-- demo.sql: card transactions made up from a counter and scored by a rule; the suspicious ones come to the console.
-- Needs no server: thalweg run bin/jobs/demo.sql
SET jobName = 'demo';

CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '2000', numPartitions '2');

-- A number from 0 to below n that is always the same for a tick and a purpose.
CREATE TEMPORARY FUNCTION draw(tick BIGINT, purpose STRING, n INT) RETURNS BIGINT RETURN abs(xxhash64(tick, purpose) % n);

CREATE VIEW transactions AS
SELECT
  timestamp AS ts,
  value AS id,
  concat('4000-', lpad(CAST(draw(value, 'card', 5000) AS STRING), 4, '0')) AS card,
  draw(value, 'kind', 100) AS kind,
  CASE
    WHEN kind < 45 THEN 'groceries'
    WHEN kind < 70 THEN 'fuel'
    WHEN kind < 85 THEN 'restaurant'
    WHEN kind < 95 THEN 'electronics'
    ELSE 'gift cards'
  END AS merchant,
  -- Small amounts are common, large ones rare.
  round(3 * exp(draw(value, 'amount', 1000) / 1000D * 6), 2) AS amount,
  element_at(array('DE', 'DE', 'DE', 'DE', 'FR', 'NL', 'US', 'BR'), CAST(draw(value, 'country', 8) + 1 AS INT)) AS country,
  CAST(draw(value, 'hour', 24) AS INT) AS hour
FROM ticks;

CREATE VIEW scored AS
SELECT
  *,
  if(amount > 500, 40, 0) + if(merchant = 'gift cards', 25, 0) + if(country NOT IN ('DE', 'FR', 'NL'), 20, 0) + if(hour < 5, 15, 0) AS score
FROM transactions;

SET queryName = 'suspicious';
SELECT ts, card, amount, merchant, country, hour, score FROM scored WHERE score >= 80;
