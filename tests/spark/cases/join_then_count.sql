-- input: pays, logins
-- mode: append
-- watermark: ts 10 minutes
SELECT window.start AS s, count(*) AS n, sum(amount) AS amount FROM (SELECT p.ts AS ts, p.amount AS amount FROM pays p JOIN logins l ON p.usr = l.usr AND l.ts >= p.ts - INTERVAL 10 MINUTES AND l.ts <= p.ts) GROUP BY window(ts, '10 minutes')
