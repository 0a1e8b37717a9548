SET spark.sql.session.timeZone = 'Europe/Berlin';
CREATE TABLE r USING rate;
SELECT * FROM r;
