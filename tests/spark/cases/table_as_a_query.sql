-- input: sales
-- mode: append
TABLE sales
