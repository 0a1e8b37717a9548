-- input: shuffled, logins
-- mode: append
-- watermark: ts 2 minutes
-- note: rows are out of order by more than the delay
SELECT s.usr, s.amount, s.ts, l.device FROM shuffled s LEFT JOIN logins l ON s.usr = l.usr AND l.ts BETWEEN s.ts - INTERVAL 5 MINUTES AND s.ts
