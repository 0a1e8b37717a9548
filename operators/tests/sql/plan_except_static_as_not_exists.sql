CREATE TABLE t (id INT) USING json OPTIONS (path 'in');
CREATE TABLE st (id INT) USING json OPTIONS (path 'known', static 'true');
SELECT DISTINCT id FROM t s WHERE NOT EXISTS (SELECT * FROM st k WHERE k.id <=> s.id);
