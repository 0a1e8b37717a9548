-- input: sales
-- mode: append
SELECT id, mask(note, upperChar => 'U', lowerChar => 'l') AS a, mask(str => note, otherChar => '-') AS b, `id` * 2 AS `twice``d` FROM sales
