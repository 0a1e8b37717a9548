CREATE TABLE r USING rate;
SELECT dropDuplicates(value) FROM r;
