SET maxOffsetsPerTrigger = 1000;
CREATE TABLE r USING rate;
SELECT * FROM r;
