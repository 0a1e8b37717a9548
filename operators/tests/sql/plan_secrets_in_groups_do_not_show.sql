CREATE TABLE payments (card STRING, shop STRING, amount DOUBLE) USING kafka OPTIONS (kafka.bootstrap.servers 'b:1', subscribe 'p', format 'json');
SET outputMode = 'update';
SELECT shop, count(*) FILTER (WHERE card = '${SECRET}') AS n FROM payments GROUP BY shop;
SET outputMode = 'append';
SET queryName = 'second';
SELECT shop, sum(if(card = '${SECRET}', 1, 0)) OVER (PARTITION BY shop) AS n FROM payments;
