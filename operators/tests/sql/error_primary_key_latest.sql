CREATE TABLE c (id STRING PRIMARY KEY, n INT) USING kafka OPTIONS (kafka.bootstrap.servers 'b:9092', subscribe 'c', format 'json', startingOffsets 'latest');
CREATE TABLE s (id STRING) USING kafka OPTIONS (kafka.bootstrap.servers 'b:9092', subscribe 's', format 'json');
SELECT n FROM s JOIN c ON s.id = c.id;
