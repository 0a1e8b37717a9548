CREATE TABLE r USING rate;
SELECT col('value') FROM r;
