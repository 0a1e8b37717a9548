CREATE TABLE t (id INT) USING json OPTIONS (path 'in');
CREATE TABLE st (id INT) USING json OPTIONS (path 'known', static 'true');
SELECT id FROM t EXCEPT SELECT id FROM st;
