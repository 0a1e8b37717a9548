-- What a socket sent cannot be read a second time.
SET outputMode = 'update';
SET warmUp = '1 hour';

CREATE TABLE lines USING socket OPTIONS (host 'localhost', port '9999');

SELECT value, count(*) AS n FROM lines GROUP BY value;
