-- input: bodies
-- mode: append
SELECT id, from_json(concat('[', body, ']'), 'a STRING') AS one, from_json(body, 'a STRING, b STRING') AS texts, from_json('[{"a": 1}, {"a": 2}]', 'a INT') AS two FROM bodies
