SET trigger = "processingTime='5 seconds'";
CREATE TABLE r USING rate;
SELECT * FROM r;
