CREATE TABLE r USING rate;
CREATE TABLE o USING json OPTIONS (path './out', checkpointLocation './checkpoints');
INSERT INTO o SELECT * FROM r;
