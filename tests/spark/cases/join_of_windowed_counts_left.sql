-- input: pays, logins
-- mode: append
-- watermark: ts 10 minutes
SELECT p.window, p.usr, p.n, l.n AS m FROM (SELECT window, usr, count(*) AS n FROM pays GROUP BY window(ts, '5 minutes'), usr) p LEFT JOIN (SELECT window, usr, count(*) AS n FROM logins GROUP BY window(ts, '5 minutes'), usr) l ON p.window = l.window AND p.usr = l.usr
