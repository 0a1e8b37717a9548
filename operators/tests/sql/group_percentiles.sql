CREATE TABLE t (k STRING, x INT, y DOUBLE, d DATE) USING file OPTIONS (path 't', format 'json');
SET outputMode = 'complete';
SELECT k, median(x), percentile(y, array(0.5, 0.9)) AS p, percentile_approx(d, 0.5), approx_percentile(x, array(0.1), 100), approx_count_distinct(x, 0.02) AS n FROM t GROUP BY k;
