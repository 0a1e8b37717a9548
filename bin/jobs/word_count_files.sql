-- word_count_files.sql: the words of each second, of text files that are dropped into a folder. A second is that in which a file
-- was written, and is shown again when more files of it come.
-- Needs no server: WORDS=./words thalweg run bin/jobs/word_count_files.sql
CREATE TABLE lines USING text OPTIONS (path '${WORDS:-./words}');

CREATE TABLE counts USING console OPTIONS (truncate 'false');

SET trigger = '1 second';
SET outputMode = 'update';

INSERT INTO counts
SELECT window.start AS second, word, count(*) AS count
FROM (
  SELECT dropped, explode(split(value, ' ')) AS word
  FROM (SELECT _metadata.file_modification_time AS dropped, value FROM lines)
  WATERMARK dropped DELAY OF INTERVAL 1 MINUTE)
GROUP BY window(dropped, '1 second'), word;
