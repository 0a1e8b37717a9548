CREATE TABLE t USING kafka OPTIONS (kafka.bootstrap.servers 'localhost:9092', subscribe 'a', format 'raw');
CREATE TABLE o USING console;
INSERT INTO o SELECT * FROM t;
