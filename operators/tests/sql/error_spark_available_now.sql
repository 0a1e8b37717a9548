SET trigger = 'availableNow';
CREATE TABLE r USING rate;
SELECT * FROM r;
