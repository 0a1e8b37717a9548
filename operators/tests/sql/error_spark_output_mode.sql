SET outputMode = 'Apend';
CREATE TABLE r USING rate;
SELECT * FROM r;
