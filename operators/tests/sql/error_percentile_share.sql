CREATE TABLE t (k STRING, x INT, y DOUBLE) USING file OPTIONS (path 't', format 'json');
SET outputMode = 'complete';
SELECT k, percentile(x, 99) FROM t GROUP BY k;
