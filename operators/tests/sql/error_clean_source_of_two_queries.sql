CREATE TABLE src (id INT, t STRING) USING json OPTIONS (path './in', cleanSource 'delete');
CREATE TABLE a USING json OPTIONS (path './a');
CREATE TABLE b USING json OPTIONS (path './b');
SET checkpointLocation = 'c';
INSERT INTO a SELECT id FROM src;
INSERT INTO b SELECT id, t FROM src;
