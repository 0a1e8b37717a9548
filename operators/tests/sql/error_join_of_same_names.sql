CREATE TABLE t (id INT) USING json OPTIONS (path 'in');
CREATE TABLE st (id INT) USING json OPTIONS (path 'known', static 'true');
CREATE TABLE o USING json OPTIONS (path 'out');
INSERT INTO o SELECT * FROM t JOIN st ON t.id = st.id;
