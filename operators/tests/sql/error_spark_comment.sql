# the invoices
CREATE TABLE r USING rate;
SELECT * FROM r;
