CREATE TABLE t (id INT) USING json OPTIONS (path 'in');
CREATE TABLE st (id INT) USING json OPTIONS (path 'known', static 'true');
SELECT * FROM t JOIN st ON t.id = st.id;
