CREATE TABLE src (id INT, cur STRING) USING json OPTIONS (path '/in');
SELECT id FROM src QUALIFY id + 1;
