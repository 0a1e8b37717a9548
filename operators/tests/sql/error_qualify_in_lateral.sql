CREATE TABLE src (id INT, cur STRING) USING json OPTIONS (path '/in');
SELECT id, c FROM src, LATERAL (SELECT id + 1 AS c QUALIFY c > 2);
