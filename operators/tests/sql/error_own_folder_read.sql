CREATE TABLE t (id INT) USING json OPTIONS (path './loop/*');
CREATE TABLE o USING json OPTIONS (path 'loop/');
SET checkpointLocation = 'c';
INSERT INTO o SELECT id + 1 AS id FROM t;
