CREATE TABLE ev (ts TIMESTAMP, user STRING, v INT, tags ARRAY<STRING>) USING json OPTIONS (path './ev') WATERMARK ts DELAY OF INTERVAL 10 MINUTES;
SELECT transform(tags, tag => upper(tag)) AS t FROM ev;
