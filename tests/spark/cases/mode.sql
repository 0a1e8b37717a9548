-- input: sales
-- mode: complete
SELECT card, mode() WITHIN GROUP (ORDER BY units) AS least, mode() WITHIN GROUP (ORDER BY units DESC) AS greatest, mode(price, true) AS price, mode(note, true) AS note, mode(paid, true) FILTER (WHERE units > 1) AS paid
FROM sales GROUP BY card
