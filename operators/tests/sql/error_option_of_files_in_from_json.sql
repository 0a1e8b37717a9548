CREATE TABLE lines USING text OPTIONS (path './lines');

SELECT from_json(value, 'a INT', map('multiLine', 'true')) AS parsed FROM lines;
