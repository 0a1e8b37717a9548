CREATE TABLE t (k STRING, x INT, y DOUBLE) USING file OPTIONS (path 't', format 'json');
SET outputMode = 'complete';
SELECT k, percentile_approx(x, y) FROM t GROUP BY k;
