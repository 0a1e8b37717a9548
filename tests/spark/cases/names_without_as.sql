-- input: sales
-- mode: append
SELECT s.id BETWEEN 1 AND 3, s.card LIKE 'c%', trim(s.card), if(s.id > 2, 'a', 'b'), s.ts + INTERVAL 1 DAY, extract(year FROM s.ts), round(s.price), split(s.card, 'c')[0], isnull(s.card), to_json(struct(s.id, s.card)), s.id = 1 IS NOT TRUE FROM sales s
