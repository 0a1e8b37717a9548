CREATE TABLE t (k STRING, x INT, y DOUBLE) USING file OPTIONS (path 't', format 'json');
SET outputMode = 'complete';
SELECT k, approx_count_distinct(x, 0.001) FROM t GROUP BY k;
