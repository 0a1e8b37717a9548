SET trigger = '0 seconds';
CREATE TABLE t USING rate;
SELECT value FROM t;
