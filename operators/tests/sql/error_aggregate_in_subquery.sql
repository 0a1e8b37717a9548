CREATE TABLE t (a STRING, n INT) USING kafka OPTIONS (kafka.bootstrap.servers 'k:9092', subscribe 't', format 'json');
CREATE TABLE d (n BIGINT) USING json OPTIONS (path 'd', static 'true');
CREATE TABLE o USING console;
INSERT INTO o SELECT a, count(*) AS c FROM t GROUP BY a HAVING count(*) IN (SELECT n FROM d);
