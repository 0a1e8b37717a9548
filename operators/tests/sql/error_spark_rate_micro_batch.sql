CREATE TABLE o USING `rate-micro-batch`;
SELECT value FROM o;
