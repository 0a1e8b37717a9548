-- input: huge
-- mode: complete
-- fails: ARITHMETIC_OVERFLOW
SELECT k, sum(n) AS s FROM huge GROUP BY k
