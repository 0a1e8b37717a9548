CREATE TABLE r USING rate;
CREATE TABLE o USING json OPTIONS (path './out', retention '30d');
INSERT INTO o SELECT * FROM r;
