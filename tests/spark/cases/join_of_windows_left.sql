-- input: pays, logins
-- mode: append
-- watermark: ts 10 minutes
SELECT p.usr, p.amount, l.device, p.w FROM (SELECT usr, amount, window(ts, '10 minutes') AS w FROM pays) p LEFT JOIN (SELECT usr, device, window(ts, '10 minutes') AS w FROM logins) l ON p.usr = l.usr AND p.w = l.w
