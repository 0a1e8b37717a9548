-- input: pays, logins
-- mode: update
-- watermark: ts 10 minutes
SELECT p.usr, count(*) AS n, max(l.device) AS device FROM pays p JOIN logins l ON p.usr = l.usr AND l.ts BETWEEN p.ts - INTERVAL 10 MINUTES AND p.ts GROUP BY p.usr
