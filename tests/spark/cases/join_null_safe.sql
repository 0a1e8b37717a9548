-- input: pays, logins
-- mode: append
-- watermark: ts 10 minutes
SELECT p.usr, p.amount, l.device FROM pays p LEFT JOIN logins l ON p.usr <=> l.usr AND l.ts >= p.ts - INTERVAL 10 MINUTES AND l.ts <= p.ts
