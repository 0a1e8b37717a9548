-- input: clicks
-- mode: append
-- watermark: ts 10 minutes
SELECT session_window.start AS s, session_window.end AS e, usr, count(*) AS n FROM clicks GROUP BY session_window(ts, CASE WHEN page = 'pay' THEN '1 minute' ELSE '6 minutes' END), usr
