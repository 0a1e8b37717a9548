-- input: sales
-- mode: complete
WITH paid AS (SELECT card, price * units AS total FROM sales WHERE paid) SELECT card, sum(total) AS t FROM paid GROUP BY card
