CREATE TABLE ev (ts TIMESTAMP, user STRING, v INT, tags ARRAY<STRING>) USING json OPTIONS (path './ev') WATERMARK ts DELAY OF INTERVAL 10 MINUTES;
SELECT window.start, count(*) AS n FROM ev GROUP BY window('ts', '5 minutes');
