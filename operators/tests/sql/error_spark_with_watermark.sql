CREATE TABLE r USING rate;
SELECT count(*) FROM r.withWatermark('timestamp', '10 minutes') GROUP BY window(timestamp, '10 seconds');
