-- input: sales
-- mode: append
SELECT id, r'\' AS a, 'b' AS c, '\'' AS d, r"x\" AS e, r'it''s' AS f, r'say ''hi''' AS g, R'c:\dir\' AS h, replace('a/b', '/', r'\') AS i FROM sales WHERE id < 3
