-- input: pays, logins
-- mode: append
-- watermark: ts 10 minutes
SELECT p.usr, p.amount, l.device, w.start AS s FROM (SELECT usr, amount, window(ts, '10 minutes', '5 minutes') AS w FROM pays) p JOIN (SELECT usr, device, window(ts, '10 minutes', '5 minutes') AS v FROM logins) l ON v = w AND l.usr = p.usr
