-- input: clicks
-- mode: complete
SELECT session_window.start AS s, session_window.end AS e, usr, count(*) AS n, sum(ms) AS ms FROM clicks GROUP BY session_window(ts, '5 minutes'), usr
