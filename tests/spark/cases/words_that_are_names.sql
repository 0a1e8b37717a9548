-- input: sales
-- mode: append
SELECT match.top, match.end + 1 AS next, struct, struct.limit, order offset FROM (SELECT card top, units end, struct(units limit) struct, units * 2 order FROM sales) match WHERE top <> 'zz'
