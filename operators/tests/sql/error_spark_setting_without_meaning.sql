SET spark.sql.shuffle.partitions = 4;
CREATE TABLE r USING rate;
SELECT * FROM r;
