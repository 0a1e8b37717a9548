SELECT * FROM json.`/data/in`;
