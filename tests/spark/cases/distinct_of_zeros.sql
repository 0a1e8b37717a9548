-- input: sales
-- mode: append
-- batch: yes
SELECT DISTINCT CASE WHEN id < 6 THEN -0.0D ELSE 1D END AS z, array(named_struct('f', CAST(-0.0D AS FLOAT))) AS a FROM sales
