CREATE TABLE lines USING text OPTIONS (path './lines', mode 'PERMISSIVE');

SELECT value FROM lines;
