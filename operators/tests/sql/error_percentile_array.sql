CREATE TABLE t (k STRING, x INT, y DOUBLE) USING file OPTIONS (path 't', format 'json');
SET outputMode = 'complete';
SELECT k, percentile(x, array(0.5, 1.5)) FROM t GROUP BY k;
