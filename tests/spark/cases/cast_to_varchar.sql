-- input: sales
-- mode: append
SELECT id, CAST(card AS VARCHAR(2)) AS v, card::CHAR(20) || '|' AS c, CAST(id + 1 AS VARCHAR(1)), TRY_CAST(price AS VARCHAR(3)) AS t FROM sales
