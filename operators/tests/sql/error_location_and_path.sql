CREATE TABLE src (id INT, cur STRING) USING json OPTIONS (path '/in') LOCATION '/out';
SELECT id FROM src;
