CREATE TABLE src (id INT, cur STRING) USING json OPTIONS (path '/in');
CREATE TABLE known (id INT, cur STRING) USING json OPTIONS (path '/known', static 'true');
CREATE TABLE o USING console;
INSERT INTO o SELECT id FROM src WHERE cur IN (SELECT cur FROM known QUALIFY row_number() OVER (PARTITION BY cur ORDER BY id) = 1 AND id > 5);
