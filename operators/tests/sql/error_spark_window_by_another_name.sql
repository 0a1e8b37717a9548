CREATE TABLE r USING rate;
SET outputMode = 'update';
SELECT w.start, count(*) FROM r GROUP BY window(timestamp, '10 seconds');
