-- input: sales
-- mode: complete
-- ordered: yes
SELECT card, count(*) AS n FROM sales GROUP BY (1), 1L, 1.5, 2D ORDER BY 1L DESC, (2) DESC, 3000000000, card
