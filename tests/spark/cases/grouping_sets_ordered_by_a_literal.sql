-- input: sales
-- mode: complete
-- ordered: yes
-- note: in ORDER BY a literal is what it says
SELECT card, count(*) AS n FROM sales GROUP BY ROLLUP(card, 'all') ORDER BY 'all', card, n
