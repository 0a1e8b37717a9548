-- input: sales
-- mode: append
SELECT id, struct(card, amount * 2 doubled, array(units, 1) parts, note AS said) AS s FROM sales
