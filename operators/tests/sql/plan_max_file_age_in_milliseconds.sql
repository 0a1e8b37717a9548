CREATE TABLE t (id INT) USING json OPTIONS (path 'in', maxFileAge '100');
SELECT id FROM t;
