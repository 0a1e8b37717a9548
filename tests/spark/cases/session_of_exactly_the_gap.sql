-- input: clicks
-- mode: append
-- watermark: ts 10 minutes
SELECT session_window.start AS s, session_window.end AS e, page, count(*) AS n FROM clicks GROUP BY session_window(ts, '299 seconds'), page
