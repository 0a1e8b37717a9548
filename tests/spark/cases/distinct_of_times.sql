-- input: clicks
-- mode: append
-- batch: yes
SELECT DISTINCT page, ts FROM clicks
