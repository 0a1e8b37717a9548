CREATE TABLE t (k STRING, top INT, struct STRUCT<a: INT>, trim STRING) USING json OPTIONS (path './t');
SELECT top, struct, struct.a, trim FROM t;
SET queryName = 'aliases';
SELECT k top, top member, top + 1 end, struct(1 limit) group, k offset FROM t;
SET queryName = 'columns';
SELECT match.end + 1 order, limit view, match.group FROM (SELECT top end, top limit, k group FROM t) match;
