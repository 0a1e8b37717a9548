-- input: sales
-- mode: append
SELECT id, r'\' AS a, 'b' AS c, '\'' AS d, r"x\" AS e, r'it''s' AS f, r'say ''hi''' AS g, R'c:\dir\' AS h, replace('a/b', '/', r'\') AS i, hex(x"1f") AS j, hex(X'2A') AS k FROM sales WHERE id < 3
