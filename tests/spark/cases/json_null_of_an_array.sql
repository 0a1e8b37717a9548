-- input: sales
-- mode: append
SELECT id, get_json_object('{"a": [1, null], "b": null}', '$.a[1]') AS in_array, get_json_object('{"a": [1, null], "b": null}', '$.b') AS of_name FROM sales WHERE id = 1
