CREATE TABLE t (k STRING, x INT, y DOUBLE) USING file OPTIONS (path 't', format 'json');
SET outputMode = 'complete';
SELECT k, percentile_approx(k, 0.5, 0) FROM t GROUP BY k;
