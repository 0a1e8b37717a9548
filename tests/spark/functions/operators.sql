-- Operators, literals and forms with a syntax of their own.
{number} + {number} *60
{number} - {number} *50
{number} * {number} *60
{number} / {number} *60
{number} % {number} *50
{integer} DIV {integer} *40
{dt} DIV {dt}
{ym} DIV {ym}
-({number})
+({any})
~{number}
{integer} & {integer} *20
{integer} | {integer} *20
{integer} ^ {integer} *20
{integer} << {few} *12
{integer} >> {few} *12
{integer} >>> {few} *12
{any} = {any} *60
{any} < {any} *40
{any} <=> {any} *40
{any} <> {any} *20
{number} >= {number} *40
{double} = {double} *30
{double} < {double} *30
{text} < {text}
{time} = {time} *40
{time} <= {time} *30
{time_text} < {time} *20
{numeric_text} = {number} *30
{any} || {any} *30
{bool} AND {bool}
{bool} OR {bool}
NOT {bool}
{any} IS NULL
{any} IS NOT NULL
{bool} IS TRUE
{bool} IS NOT FALSE
{bool} IS UNKNOWN
{number} BETWEEN {number} AND {number} *20
{number} NOT BETWEEN {number} AND {number} *10
{number} IN ({number}, {number}) *20
{text} IN ('a', NULL, '')
{text} NOT IN ('a', 'Spark SQL')
{any} IS DISTINCT FROM {any} *20
{text} LIKE '%a%'
{text} LIKE '_'
{text} LIKE '\\%'
{text} LIKE '%😀'
'a%b' LIKE 'a\\%b'
'a%b' LIKE 'a#%b' ESCAPE '#'
'a_b' LIKE 'a/_b' ESCAPE '/'
'ab' LIKE 'a\\b'
'a\nb' LIKE 'a_b'
{text} ILIKE '%S%'
{text} NOT ILIKE '%s%'
'abc' LIKE ANY ('x%', '%c')
'abc' LIKE ALL ('a%', '%c')
'abc' NOT LIKE ALL ('x%', '%y')
'abc' LIKE SOME ('x%', NULL)
{text} RLIKE {regex} *60
CASE WHEN {bool} THEN {number} ELSE {number} END *20
CASE {any} WHEN {any} THEN 'same' END *20
CASE WHEN true THEN 1 WHEN false THEN 'a' END
CASE WHEN false THEN 1 END
{date} + {int}
{date} - {int}
{date} + {dt}
{date} + {ym}
{date} - {date}
{ts} + {dt} *20
{ts} - {dt} *20
{ts} + {ym} *16
{ts} - {ts} *16
{ntz} + {dt}
{ntz} - {ts}
{time} - {time} *30
{dt} + {dt}
{dt} - {dt}
{ym} + {ym}
{dt} * {number} *30
{ym} * {number} *30
{dt} / {number} *30
{ym} / {number} *30
{number} * {dt}
-{dt}
-{ym}
abs({dt})
{time_text} + INTERVAL '1' DAY
INTERVAL '1 day 2 hours'
INTERVAL 1 YEAR
INTERVAL '2-3' YEAR TO MONTH
INTERVAL '10:20' MINUTE TO SECOND
INTERVAL '1.5' SECOND
INTERVAL -1 DAY
INTERVAL 2 WEEKS
INTERVAL 1 MILLISECOND
INTERVAL '1' DAY + INTERVAL '2' HOUR
INTERVAL 1 YEAR 2 MONTHS
array(1, 2)[{few}]
array(1, 2)['a']
map('a', 1)[{part}]
map(1, 'x')[{few}]
named_struct('a', 1).a
struct(1, 2).col2
array(named_struct('a', 1), NULL).a
(1, 'a')
(1, 'a') = (1, 'a')
(1, NULL) < (1, 2)
array(1, 2) < array(1, 3)
array(1) = array(NULL)
map(1, 2) = map(1, 2)
1 == 1
1 != 2
!true
1 <=> NULL
5 div 2
-5 div 2
-7 % 3
1e400
.5
1.
1e-3
1E5BD
12BD
1.0F
32768S
128Y
9223372036854775808
-9223372036854775808L
9223372036854775808L
0.1 + 0.2
0.1D + 0.2D
1.0 / 3
10 / 3
1.00 * 2.50
CAST(1 AS DECIMAL(38,0)) / CAST(3 AS DECIMAL(38,0))
CAST(1 AS DECIMAL(38,10)) * CAST(1 AS DECIMAL(38,10))
CAST(9.99 AS DECIMAL(3,2)) + CAST(0.01 AS DECIMAL(3,2))
CAST(10 AS DECIMAL(5,1)) % 3
'1' + 1
'1' + '1'
'1.5' + 1
'a' + 1
'1' || 1
1 + true
'2024-01-01' + 1
'' + 1
r'a\nb'
'a' 'b'
'\u0041\t\x'
'\101'
'\%\_'
"double"
X'1'
X'0g'
DATE'2024'
DATE'2024-13-01'
TIMESTAMP'2024-01-01'
TIMESTAMP_LTZ'2024-01-01 00:00:00'
TIMESTAMP'2024-01-01 00:00:00+02:00'
TIMESTAMP_NTZ'2024-01-01 00:00:00+02:00'
POSITION('b' IN 'abc')
SUBSTRING('abcdef' FROM 2 FOR 3)
SUBSTRING('abcdef' FROM -2)
OVERLAY('abcdef' PLACING 'XY' FROM 2 FOR 1)
TRIM(BOTH 'x' FROM 'xxaxx')
TRIM(LEADING 'x' FROM 'xxaxx')
TRIM(TRAILING FROM ' a ')
TRIM('  a ')
CEIL(1.5)
FLOOR(-1.5)
CEIL(3.1411, 3)
FLOOR(3.1411, -1)
size(array(1)) * 1.25
+1 * 1.25
-(1) * 1.25
(1) * 1.25
-1 * 1.25
CAST(1 AS INT) * 1.25
1::SMALLINT * 1.25
if(true, 1, 2) + 1.5
1 + 1 + 1.5
array(1, 2)[0] / 1.25
try_multiply(1, 1.25)
pmod(1, 1.25)
transform(array(1), x -> x * 1.25)
~1 * 2
~2L * 3 + 1
NOT exists(array(1, 2), x -> x = 1)
NOT exists(array(1, 2), x -> x = 1) = true
array('1')::ARRAY<INT>[0]
str_to_map('a:1')::MAP<STRING, INT>['a'] + 1
named_struct('a', 1)::STRUCT<b: INT>.b
-- set: ansi=false
{number} + {number} *40
{number} - {number} *30
{number} * {number} *40
{number} / {number} *40
{number} % {number} *30
{integer} DIV {integer} *30
-({number})
abs({number})
{any} = {any} *50
{any} < {any} *40
{numeric_text} = {number} *30
{any} || {any} *20
'a' + 1
'1' + '1'
'2' * '3'
1 = 'a'
1 / 0
1.0 / 0
1 % 0
true + 1
true = 1
true = 'true'
if(true, 1, 'a')
array(1, 2)[5]
array(1, 2)[-1]
map('a', 1)['b']
CASE WHEN 'true' THEN 1 END
DATE'2024-01-01' + '1'
{dt} / {number}
{ym} * {number}
