-- word_count_per_second.sql: the words of each second alone, of lines from a socket and of lines from a topic.
-- A second is shown as soon as a line of a later one has come.
CREATE TABLE typed USING socket OPTIONS (
  host '${SOCKET_HOST:-localhost}', port '${SOCKET_PORT:-9999}', includeTimestamp 'true')
  WATERMARK timestamp DELAY OF INTERVAL 0 SECONDS;

CREATE TABLE lines USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA:-localhost:9092}', subscribe 'lines')
  WATERMARK timestamp DELAY OF INTERVAL 0 SECONDS;

CREATE TABLE typed_counts USING console;
CREATE TABLE line_counts USING console;

SET trigger = '1 second';

INSERT INTO typed_counts
SELECT window.start AS second, word, count(*) AS count
FROM (SELECT timestamp, explode(split(value, ' ')) AS word FROM typed)
GROUP BY window(timestamp, '1 second'), word;

INSERT INTO line_counts
SELECT window.start AS second, word, count(*) AS count
FROM (SELECT timestamp, explode(split(CAST(value AS STRING), ' ')) AS word FROM lines)
GROUP BY window(timestamp, '1 second'), word;
