CREATE TABLE t (k STRING, x BIGINT, ts TIMESTAMP) USING file OPTIONS (path 't', format 'json') WATERMARK ts DELAY OF INTERVAL 1 MINUTE;
SELECT session_window(u, '5 minutes'), ts, count(*)
FROM (SELECT ts, timestamp_millis(x) AS u FROM t)
GROUP BY session_window(u, '5 minutes'), ts;
