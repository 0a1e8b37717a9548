-- input: huge
-- mode: complete
-- fails: ARITHMETIC_OVERFLOW
SELECT k, sum(d) AS s FROM huge GROUP BY k
