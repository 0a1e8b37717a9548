-- input: pays, logins
-- mode: append
-- watermark: ts 10 minutes
-- note: rows without a user are left out, because Spark's full join of streams lets NULL keys meet, which its other joins do not
SELECT p.usr AS payer, p.amount, l.usr AS login, l.device
FROM (SELECT * FROM pays WHERE usr IS NOT NULL) p
FULL JOIN (SELECT * FROM logins WHERE usr IS NOT NULL) l
ON p.usr = l.usr AND l.ts >= p.ts - INTERVAL 10 MINUTES AND l.ts <= p.ts
