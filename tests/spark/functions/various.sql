-- What users write: literals, nested lambdas, arithmetic of types, patterns, JSON, intervals.
transform(array(array(1,2),array(3)), a -> aggregate(a, 0, (s,x) -> s + x * size(a)))
filter(transform(sequence(1,5), x -> struct(x AS a, x*x AS b)), s -> s.b % 2 = 0)
transform(map_entries(map('a',1,'b',2)), e -> concat(e.key, ':', e.value))
aggregate(array(1.5BD, 2.25BD), CAST(0 AS DECIMAL(20,4)), (acc, x) -> CAST(acc + x AS DECIMAL(20,4)))
aggregate(array('x','y'), '', (a, b) -> a || b, r -> upper(r))
map_filter(transform_values(map('a',1,'b',2), (k,v) -> v*10), (k,v) -> v > 10)
map_zip_with(map('a',1,'b',2), map('b',3,'c',4), (k,a,b) -> coalesce(a,0)+coalesce(b,0))
exists(array(array(1),array(2)), a -> exists(a, x -> x > 1))
forall(array(1,NULL,3), x -> x > 0)
forall(array(1,NULL,-3), x -> x > 0)
exists(array(1,NULL), x -> x > 5)
zip_with(array(1,2,3), array('a','b'), (x,y) -> struct(x, y))
array_sort(array('bb','a','ccc'), (l,r) -> length(r) - length(l))
array_sort(array(struct(2 AS a,'x' AS b), struct(1,'y')), (l,r) -> CASE WHEN l.a < r.a THEN -1 WHEN l.a > r.a THEN 1 ELSE 0 END)
transform(array(1,2), (x, i) -> transform(array(10,20), y -> x*y+i))
named_struct('a', array(map('k', named_struct('z', array(1,NULL)))))
named_struct('a', array(map('k', named_struct('z', array(1,NULL))))).a[0]['k'].z[1]
array(named_struct('a',1),named_struct('a',NULL)).a
map('x', array(1,2,3))['x'][2]
map(1,'a')[2]
array(1,2,3)[5]
array(1,2,3)[-1]
try_element_at(array(1,2,3), -3)
element_at(array(1,2,3), -4)
element_at(map('a',1), 'b')
struct(1,'a',true).col2
array_compact(array(1,NULL,2))
arrays_zip(array(1,2), array('a'))
array_except(array(1,2,2,NULL), array(2))
array_union(array(1,NULL), array(NULL,1.5))
slice(sequence(1,10), -3, 2)
sequence(10, 1, -3)
sequence(DATE'2024-01-31', DATE'2024-05-31', INTERVAL 1 MONTH)
sequence(TIMESTAMP'2024-03-09 12:00:00', TIMESTAMP'2024-03-11 12:00:00', INTERVAL 1 DAY)
flatten(array(array(1,2), NULL))
array_repeat(array('a'), 2)
array_position(array(3,2,1), 1L)
sort_array(array(2,NULL,1), false)
map_from_entries(array(struct('a',1), struct('a',2)))
map_concat(map('a',1), map('b',NULL))
str_to_map('a=1;b=2;c', ';', '=')
cardinality(map('a',1))
size(NULL)
array_join(array('a',NULL,'b'), '-', '?')
concat(array(1), array(2L))
concat_ws(',', array('a',NULL), 'b', NULL)
reverse(array(1,2,3))
array_min(array(NULL, 2.5, 1))
array_max(array('b','a'))
-128Y
128Y
32768S
9223372036854775807L
9223372036854775808L
-9223372036854775808L
-9223372036854775808
2147483648
1BD
1.50BD
1e3
1e3BD
1.E3
.5
5.
1.5f
1.5F
1e400
1e-400
1.0e10D
0.1D + 0.2D
0.1 + 0.2
X'1F'
X'1'
x'0aFf'
X'ZZ'
r'a\nb'
R"a\tb"
'a\nb'
'a\'b'
'a''b'
"dq"
'\u0041\101\x'
'\U0001F600'
'a' 'b'
"a\%b"
DATE'2024-2-3'
DATE'2024'
DATE'2024-13-01'
DATE '2024-02-30'
DATE'+10000-01-01'
TIMESTAMP'2024-01-01'
TIMESTAMP'2024-01-01 1:2:3'
TIMESTAMP'2024-01-01T01:02:03.123456789Z'
TIMESTAMP'2024-01-01 00:00:00+02:00'
TIMESTAMP'2024-01-01 00:00:00 Europe/Berlin'
TIMESTAMP_NTZ'2024-01-01 00:00:00'
TIMESTAMP_LTZ'2024-01-01 00:00:00'
TIMESTAMP_NTZ'2024-01-01 00:00:00+02:00'
INTERVAL '1' DAY
INTERVAL 1 DAY 2 HOURS
INTERVAL 1 day 2 hours 3.5 seconds
INTERVAL '1 day 2 hours'
INTERVAL '1-2' YEAR TO MONTH
INTERVAL '1 02:03:04.5' DAY TO SECOND
INTERVAL '10:20' MINUTE TO SECOND
INTERVAL '1 10' DAY TO HOUR
INTERVAL '10:20' HOUR TO MINUTE
INTERVAL -'1' DAY
-INTERVAL '1' DAY
INTERVAL '-1' DAY
INTERVAL - '1-2' YEAR TO MONTH
INTERVAL 3 WEEKS
INTERVAL 1 YEAR 2 MONTHS
INTERVAL 500 MILLISECONDS
INTERVAL 500 MICROSECONDS
INTERVAL 1 QUARTER
INTERVAL '1' DAY * 2.5
INTERVAL '1' DAY / 3
INTERVAL '1-1' YEAR TO MONTH * 1.5
INTERVAL '1-1' YEAR TO MONTH / 2
2 * INTERVAL '1' HOUR
INTERVAL '1' DAY + INTERVAL '2' HOUR
INTERVAL '1' DAY - INTERVAL '25' HOUR
INTERVAL '1' DAY / 0
INTERVAL '1' DAY > INTERVAL '23' HOUR
TIMESTAMP'2024-01-31 10:00:00' + INTERVAL 1 MONTH
TIMESTAMP'2024-01-31 10:00:00' - INTERVAL '1 02:03:04' DAY TO SECOND
DATE'2024-01-31' + INTERVAL 1 MONTH
DATE'2024-01-31' + INTERVAL 1 DAY
DATE'2024-01-31' + INTERVAL 25 HOUR
DATE'2024-01-31' + 1
DATE'2024-01-31' - 1
1 + DATE'2024-01-31'
DATE'2024-03-01' - DATE'2024-02-01'
TIMESTAMP'2024-03-01 00:00:00' - TIMESTAMP'2024-02-01 12:00:00'
TIMESTAMP'2024-03-01 00:00:00' - DATE'2024-02-01'
DATE'2024-03-01' - TIMESTAMP'2024-02-01 10:00:00'
INTERVAL 1 DAY + TIMESTAMP'2024-01-31 10:00:00'
DATE'2024-01-31' + INTERVAL '1-1' YEAR TO MONTH
extract(DAY FROM INTERVAL '5 03:04:05' DAY TO SECOND)
extract(HOURS FROM INTERVAL '5 03:04:05.123' DAY TO SECOND)
extract(SECOND FROM INTERVAL '5 03:04:05.123' DAY TO SECOND)
extract(YEAR FROM INTERVAL '5-7' YEAR TO MONTH)
extract(MONTH FROM INTERVAL '5-7' YEAR TO MONTH)
date_part('minute', INTERVAL '5 03:04:05.123' DAY TO SECOND)
extract(EPOCH FROM TIMESTAMP'2024-01-01 00:00:00')
extract(DOW FROM DATE'2024-02-29')
extract(DAYOFWEEK_ISO FROM DATE'2024-02-29')
extract(WEEK FROM DATE'2024-12-31')
extract(YEAROFWEEK FROM DATE'2024-12-31')
extract(QTR FROM DATE'2024-12-31')
extract(SECOND FROM TIMESTAMP'2024-01-01 00:00:12.345678')
extract(CENTURY FROM DATE'2024-12-31')
abs(INTERVAL '-1' DAY)
sign(INTERVAL '-1' DAY)
make_dt_interval(1, 2, 3, 4.5)
make_ym_interval(1, 14)
CAST('1' AS INTERVAL DAY)
CAST(INTERVAL '1' DAY AS STRING)
CAST('INTERVAL \'1-2\' YEAR TO MONTH' AS INTERVAL YEAR TO MONTH)
CAST(1 AS INTERVAL HOUR)
CAST(INTERVAL '10' SECOND AS INT)
CAST(INTERVAL '1 02:03:04' DAY TO SECOND AS STRING)
CAST(INTERVAL '-1-2' YEAR TO MONTH AS STRING)
to_char(454, '999')
to_char(454.00, '000D00')
to_char(12454, '99G999')
to_char(78.12, '$99.99')
to_char(-12454.8, '99G999D9S')
to_char(12454, '9')
to_char(-1, '9MI')
to_char(-1, '9PR')
to_char(0.5, '9.9')
to_char(0.5, '.99')
to_char(DATE'2024-02-29', 'yyyy/MM')
to_char(X'1F', 'hex')
to_varchar(X'1F', 'base64')
to_number('454', '999')
to_number('$78.12', '$99.99')
to_number('12,454.8-', '99,999.9S')
to_number('<5>', '9PR')
to_number('454', '99')
try_to_number('45x', '999')
width_bucket(5.3, 0.2, 10.6, 5)
width_bucket(-2.1, 1.3, 3.4, 3)
width_bucket(5, 10, 0, 4)
width_bucket(5, 0, 0, 4)
parse_url('http://u:p@spark.apache.org:80/path/a%20b?query=1&x=%41#ref', 'QUERY', 'x')
parse_url('http://u:p@spark.apache.org:80/path?query=1#ref', 'AUTHORITY')
parse_url('http://u:p@spark.apache.org:80/path?query=1#ref', 'USERINFO')
parse_url('http://u:p@spark.apache.org:80/path?query=1#ref', 'FILE')
parse_url('not a url', 'HOST')
try_parse_url('not a url', 'HOST')
url_encode('a b/c?d=é&+*~')
url_decode('a%20b+c%2F')
url_decode('%zz')
try_url_decode('%zz')
try_add(2147483647, 1)
try_subtract(-2147483648, 1)
try_multiply(9223372036854775807L, 2)
try_divide(1, 0)
try_divide(INTERVAL 1 DAY, 0)
try_mod(5, 0)
try_remainder(5, 0)
try_add(DATE'2024-01-01', 1)
try_add(TIMESTAMP'2024-01-01 00:00:00', INTERVAL 1 DAY)
try_cast('x' AS INT)
try_to_binary('zz', 'hex')
try_to_date('2024-13-01')
try_to_timestamp('2024-13-01')
try_make_timestamp(2024,13,1,0,0,0)
format_string('%.2f', NULL)
format_string('%s %s', NULL, 'a')
format_string('%5d|%-5d|%05d', 42, 42, 42)
format_string('%x %X %o', 255, 255, 8)
format_string('%,d', 1234567)
format_string('%+d', 5)
format_string('%e', 12345.678D)
format_string('%10.3s|', 'abcdef')
format_string('%b', true)
format_string('%c', 65)
format_string('%%')
format_string('%d', 1.5)
format_string('%2$s %1$s', 'a', 'b')
format_string('%.2f', 2.005D)
format_string('%.0f', 2.5D)
format_string('%g', 0.00012345D)
format_string('%h', 'hello')
format_string('%d', NULL)
format_string('%5s|', NULL)
format_string('%.1s|', NULL)
format_string('%c', NULL)
format_string('%x', NULL)
format_string('%e', NULL)
printf('%s', array(1,2))
CAST('  12  ' AS INT)
CAST('+12' AS INT)
CAST('1.9' AS INT)
CAST('1e2' AS INT)
CAST('0x10' AS INT)
CAST('' AS INT)
CAST('1e2' AS DOUBLE)
CAST('1d' AS DOUBLE)
CAST('1f' AS FLOAT)
CAST('NaN' AS DOUBLE)
CAST(' Infinity ' AS DOUBLE)
CAST('-inf' AS DOUBLE)
CAST('+Inf' AS FLOAT)
CAST('1e400' AS DOUBLE)
CAST('yes' AS BOOLEAN)
CAST(' T ' AS BOOLEAN)
CAST('on' AS BOOLEAN)
CAST('1' AS BOOLEAN)
CAST('0.0' AS BOOLEAN)
CAST(0.0 AS BOOLEAN)
CAST('NaN' AS BOOLEAN)
CAST(CAST('NaN' AS DOUBLE) AS BOOLEAN)
CAST(true AS DECIMAL(3,1))
CAST(true AS TIMESTAMP)
CAST(1.5D AS TIMESTAMP)
CAST(-1.5BD AS TIMESTAMP)
CAST(1700000000.123456789BD AS TIMESTAMP)
CAST(TIMESTAMP'2024-01-01 00:00:00.5' AS DOUBLE)
CAST(TIMESTAMP'2024-01-01 00:00:00.5' AS BIGINT)
CAST(TIMESTAMP'1969-12-31 23:59:59.5' AS BIGINT)
CAST(TIMESTAMP'2024-01-01 00:00:00.5' AS DECIMAL(20,3))
CAST(TIMESTAMP'2024-01-01 00:00:00.5' AS INT)
CAST(TIMESTAMP'2024-01-01 00:00:00.5' AS SMALLINT)
CAST(TIMESTAMP'2024-01-01 00:00:00' AS BOOLEAN)
CAST(DATE'2024-01-01' AS INT)
CAST(1 AS DATE)
CAST('2024-1-1T' AS DATE)
CAST('2024-01-01 junk' AS DATE)
CAST('2024-01-01Tjunk' AS DATE)
CAST(' 2024-01-01 ' AS DATE)
CAST('20240101' AS DATE)
CAST('-0001-01-01' AS DATE)
CAST('2024-01-01 10' AS TIMESTAMP)
CAST('2024-01-01 10:11' AS TIMESTAMP)
CAST('2024-01-01 10:11:12.1' AS TIMESTAMP)
CAST('2024-01-01T10:11:12.1234567Z' AS TIMESTAMP)
CAST('2024-01-01 10:11:12 UTC+3' AS TIMESTAMP)
CAST('2024-01-01 10:11:12 GMT-08:30' AS TIMESTAMP)
CAST('2024-01-01 10:11:12 PST' AS TIMESTAMP)
CAST('2024-01-01 10:11:12 America/Los_Angeles' AS TIMESTAMP)
CAST('2024-01-01 10:11:12+1' AS TIMESTAMP)
CAST('2024-01-01 10:11:12+01:02:03' AS TIMESTAMP)
CAST('2024' AS TIMESTAMP)
CAST('2024-02' AS TIMESTAMP)
CAST('2024-01-01 24:00:00' AS TIMESTAMP)
CAST('2024-01-01 10:11:60' AS TIMESTAMP)
CAST('2024-01-01 10:11:12+02:00' AS TIMESTAMP_NTZ)
CAST(TIMESTAMP'2024-01-01 00:00:00' AS TIMESTAMP_NTZ)
CAST(TIMESTAMP_NTZ'2024-01-01 00:00:00' AS TIMESTAMP)
CAST(TIMESTAMP_NTZ'2024-01-01 00:00:00' AS DATE)
CAST(128 AS TINYINT)
CAST(-129L AS TINYINT)
CAST(3.99D AS INT)
CAST(-3.99 AS INT)
CAST(1e20D AS BIGINT)
CAST(2147483647.9 AS INT)
CAST(2147483647.9F AS INT)
CAST('99999999999' AS INT)
CAST('123.456' AS DECIMAL(5,1))
CAST('123.456' AS DECIMAL(3,1))
CAST('1e3' AS DECIMAL(10,2))
CAST('1E-3' AS DECIMAL(10,5))
CAST(0.05 AS DECIMAL(2,1))
CAST(-0.05 AS DECIMAL(2,1))
CAST(0.15D AS DECIMAL(2,1))
CAST(1.005D AS DECIMAL(10,2))
CAST(X'414243' AS STRING)
CAST('abc' AS BINARY)
CAST(1 AS BINARY)
CAST(X'FF' AS STRING)
CAST(1L AS BINARY)
CAST(X'01' AS INT)
CAST(array(1,NULL,'a') AS STRING)
CAST(map('a', array(1,NULL)) AS STRING)
CAST(struct(1, 'x', NULL, struct(2)) AS STRING)
CAST(array('1','2') AS ARRAY<INT>)
CAST(array('1','x') AS ARRAY<INT>)
TRY_CAST(array('1','x') AS ARRAY<INT>)
CAST(map('1','2') AS MAP<INT,DOUBLE>)
CAST(struct('1', 2) AS STRUCT<x: INT, y: STRING>)
CAST(named_struct('a',1,'b',2) AS STRUCT<b: INT>)
CAST(NULL AS STRUCT<a: INT>)
CAST(array() AS ARRAY<STRING>)
CAST(1.0E-5D AS STRING)
CAST(1.0E7D AS STRING)
CAST(123456789.0D AS STRING)
CAST(0.001D AS STRING)
CAST(0.0001F AS STRING)
CAST(1.0E38F AS STRING)
CAST(-0.0D AS STRING)
CAST(100000000000000000000BD AS STRING)
CAST(0.0000001BD AS STRING)
CAST(1E-10BD AS STRING)
CAST(1E10BD AS STRING)
1.10 + 2.205
1.10 * 2.20
1.00 / 3.00
1.0 / 3
10 / 4
10 div 4
-10 div 4
10L div 3S
7.5 div 2
INTERVAL '5' DAY div INTERVAL '2' DAY
-7 % 3
7 % -3
-7 mod 3
pmod(-7, 3)
pmod(7, -3)
mod(-7.5, 2)
-7.5D % 2
5 % 0
5 / 0
5.0D / 0
0D / 0
5.5 % 0.0
2147483647 + 1
-2147483648 - 1
2147483647 * 2
-(-2147483648)
abs(-2147483648)
127Y + 1Y
32767S + 1S
9223372036854775807 + 1
1Y + 1S
1 + 1L
1 + 1.5
1 + 1.5D
1 + '2'
1 + '2.5'
1L + '2.5'
'1' + '2'
'a' + 1
1.5 + '2'
1.5F + 1
1.5F + 1.5
true + 1
DATE'2024-01-01' + '1'
'2024-01-01' + INTERVAL 1 DAY
99999999999999999999999999999999999999 + 1
99999999999999999999999999999999999999 * 10
12345678901234567890.123456789 * 98765432109876543210.987654321
1.123456789012345678 / 7.123456789012345678
CAST(1 AS DECIMAL(38,18)) * CAST(1 AS DECIMAL(38,18))
CAST(1 AS DECIMAL(38,0)) / CAST(3 AS DECIMAL(38,0))
CAST(1 AS DECIMAL(10,0)) - CAST(3 AS DECIMAL(10,5))
1 = '1'
1 = '1.0'
1.0 = '1'
1L = 1.0D
'a' = 1
true = 'true'
true = 1
DATE'2024-01-01' = '2024-01-01'
DATE'2024-01-01' = '2024-01-01 10:00:00'
DATE'2024-01-01' < TIMESTAMP'2024-01-01 00:00:01'
TIMESTAMP'2024-01-01 00:00:00' = '2024-01-01'
TIMESTAMP'2024-01-01 00:00:00' = TIMESTAMP_NTZ'2024-01-01 00:00:00'
X'41' = 'A'
NULL = NULL
NULL <=> NULL
1 <=> NULL
NOT (NULL <=> 1)
1 == 1
1 != 2
1 <> 2
NOT 1 = 2
! true
NULL AND false
NULL OR true
1 IN (1, '2', NULL)
3 IN (1, 2.5, NULL)
'1' IN (1, 2)
NULL IN (1)
1 NOT IN (2, NULL)
(1,2) IN ((1,2),(3,4))
struct(1,'a') = struct(1,'a')
struct(1,NULL) = struct(1,NULL)
struct(1,NULL) <=> struct(1,NULL)
array(1,2) < array(1,3)
array(1,NULL) < array(1,0)
map(1,2) = map(1,2)
5 BETWEEN 1 AND 10
5 BETWEEN 10 AND 1
'b' BETWEEN 'a' AND 'c'
5 NOT BETWEEN 1 AND '4'
NULL BETWEEN 1 AND 2
1 BETWEEN SYMMETRIC 3 AND 0
CASE WHEN true THEN 1 ELSE 2.5 END
CASE WHEN false THEN 1 WHEN true THEN 2L ELSE 'x' END
CASE 1 WHEN '1' THEN 'one' END
CASE NULL WHEN NULL THEN 1 ELSE 2 END
CASE WHEN NULL THEN 1 END
CASE WHEN 1 THEN 2 END
if(true, 1, 'a')
if(NULL, 1, 2)
coalesce(NULL, 1, 2.5)
coalesce(NULL, 'a', 1)
coalesce(NULL)
nvl(NULL, 1.5)
nvl2(NULL, 1, 'x')
ifnull(1, 'a')
nullif(1, 1.0)
nullif('1', 1)
nullifzero(0)
zeroifnull(NULL)
greatest(1, 2.5, NULL)
greatest('a', 'B')
greatest(1, '2')
least(DATE'2024-01-01', TIMESTAMP'2023-01-01 00:00:00')
greatest(CAST('NaN' AS DOUBLE), 1D)
decode(2, 1, 'a', 2, 'b')
decode(NULL, NULL, 'n', 'd')
decode(X'41', 'UTF-8')
'abc' LIKE 'a%'
'a%c' LIKE 'a\\%c'
'a_c' LIKE 'a@_c' ESCAPE '@'
'abc' LIKE 'a_c'
'abc' LIKE 'a\\bc'
'abc' LIKE 'abc\\'
'a\nb' LIKE 'a%b'
'ABC' ILIKE 'a%C'
'ÄB' ILIKE 'äb'
'abc' LIKE ANY ('x%', 'a%')
'abc' LIKE ALL ('a%', '%d')
'abc' NOT LIKE ALL ('x%', '%d')
'abc' NOT LIKE 'a%'
'abc' ILIKE ANY ('X%', 'A%')
'abc' NOT ILIKE 'A_C'
'a😀b' LIKE 'a_b'
'a😀b' LIKE 'a__b'
NULL LIKE 'a'
'abc' RLIKE '^a.c$'
'abc' REGEXP 'B'
regexp_like('abc', '(?i)B')
'foobar' RLIKE 'foo(?=bar)'
'foobaz' RLIKE 'foo(?!bar)'
regexp_extract('key=val', '(?<k>\\w+)=(?<v>\\w+)', 2)
regexp_extract('aaa', 'a*+a', 0)
regexp_extract('aaa', '(a++)', 1)
regexp_replace('2024-01-02', '(\\d+)-(\\d+)-(\\d+)', '$3/$2/$1')
regexp_replace('abc', 'b', '\\$')
regexp_replace('aXbX', 'X', '-', 3)
regexp_replace('abc', '', '-')
regexp_extract_all('a1b22', '([a-z])(\\d+)', 2)
regexp_count('aXbX', 'X')
regexp_substr('aXb', '[A-Z]')
regexp_instr('aXb', '[A-Z]')
'É' RLIKE '\\p{Lu}'
'é' RLIKE '\\p{IsLatin}'
'x' RLIKE '\\p{Alpha}'
'α' RLIKE '\\p{IsGreek}'
'a.b' RLIKE '\\Qa.b\\E'
'a\tb' RLIKE 'a\\hb'
'abcabc' RLIKE '(abc)\\1'
'ab' RLIKE '(?x) a  b # c'
'ab' RLIKE '[a-z&&[^b]]{2}'
'ac' RLIKE '[a-z&&[^b]]{2}'
'x' RLIKE '['
split('a1b2c', '[0-9]')
split('a1b2c', '[0-9]', 2)
split('a,b,,', ',')
split('a,b,,', ',', -1)
split('abc', '')
split('', ',')
split_part('a.b.c', '.', -1)
split_part('a.b.c', '', 1)
split_part('a.b.c', '.', 0)
length('a😀é')
char_length('😀')
octet_length('😀')
bit_length('é')
reverse('a😀b')
substring('a😀b', 2, 1)
substring('abc', -2)
substring('abc', 0, 2)
substring('abc', -5, 3)
substr('abc', 2)
substring('abc' FROM 2 FOR 1)
left('a😀b', 2)
right('a😀b', 2)
upper('straße')
lower('İ')
initcap('hello wORLD-foo bar_baz')
ascii('😀')
chr(128512)
chr(321)
char(65)
unicode('a')
position('b' IN 'abc')
position('b', 'abcb', 3)
locate('', 'abc')
instr('a😀b', 'b')
lpad('x', 5, 'ab')
rpad('😀', 3, 'é')
lpad('abc', 2)
lpad('abc', 5, '')
rpad('abc', 5)
trim('  a ')
trim(BOTH 'x' FROM 'xxaxx')
trim(LEADING FROM '  a ')
trim(TRAILING 'yx' FROM 'axyx')
ltrim('x', 'xxa')
btrim('xxaxx', 'x')
translate('AaBbCc', 'abc', '12')
replace('abcabc', 'b')
replace('abc', '', 'x')
overlay('Spark SQL' PLACING '_' FROM 6)
overlay('Spark SQL', 'CORE', 7, 0)
overlay('Spark SQL' PLACING 'tructured' FROM 2 FOR 4)
repeat('ab', 3)
space(3)
concat('a', NULL)
concat('a', 1, 2.5, true)
'a' || NULL
'a' || 1
concat(X'41', X'42')
concat(X'41', 'b')
soundex('Robert')
levenshtein('kitten', 'sitting')
levenshtein('kitten', 'sitting', 2)
base64('abc')
unbase64('YWJj')
unbase64('!!')
hex(255)
hex('abc')
hex(-1)
unhex('4142')
unhex('1')
bin(-5)
bin(13)
conv('ff', 16, 10)
conv('-1', 10, 16)
conv('zz', 36, 2)
md5('abc')
sha1('abc')
sha2('abc', 256)
sha2('abc', 224)
sha2('abc', 1)
crc32('abc')
hash('abc', 1, NULL)
xxhash64('abc', 1)
encode('é', 'UTF-16')
encode('é', 'ISO-8859-1')
decode(encode('é', 'UTF-16BE'), 'UTF-16BE')
encode('é', 'US-ASCII')
startswith('abc', 'a')
contains('abc', '')
endswith('abc', NULL)
find_in_set('b', 'a,b,c')
find_in_set('a,b', 'a,b')
elt(2, 'a', 'b')
elt(3, 'a', 'b')
field('a')
format_number(1234567.891, 2)
format_number(1234567.891, '#,###.#')
format_number(0.5, 0)
format_number(1.5, 0)
format_number(-0.4, 0)
luhn_check('79927398713')
mask('AbCD123-@$#')
mask('AbCD123-@$#', 'Q', 'q', 'd', 'o')
is_valid_utf8(X'80')
make_valid_utf8(X'8041')
try_validate_utf8(X'80')
round(2.5)
round(-2.5)
round(2.5D)
bround(2.5)
round(1234.567, -2)
round(1234567, -3)
round(127Y, -1)
ceil(-1.5)
ceil(1.234, 2)
floor(-1.5)
floor(1234L, -2)
ceiling(5)
rint(2.5)
sqrt(2)
cbrt(27)
pow(2, 10)
power(2, -1)
2 ** 3
exp(1)
ln(0)
log(10)
log(2, 8)
log10(1000)
log2(8)
log1p(0)
expm1(0)
sign(-5)
signum(0.0)
factorial(20)
factorial(21)
hypot(3, 4)
degrees(pi())
radians(180)
sin(1)
atan2(1, 2)
acosh(2)
e()
greatest(1)
nanvl(CAST('NaN' AS DOUBLE), 5)
isnan(NULL)
shiftleft(1, 33)
shiftright(-8, 1)
shiftrightunsigned(-8, 1)
1 << 3
-8 >> 1
-8 >>> 1
~5
5 & 3
5 | 3
5 ^ 3
5 & 3L
bit_count(-1)
bit_get(5, 2)
getbit(5, 0)
positive(-5)
+5
- - 5
-'5'
-NULL
date_format(TIMESTAMP'2024-02-29 13:04:05.678', 'yyyy-MM-dd''T''HH:mm:ss.SSSXXX')
date_format(TIMESTAMP'2024-02-29 13:04:05.678', 'E EEEE MMM MMMM d D a h K k H')
date_format(TIMESTAMP'2024-02-29 13:04:05.678', 'yy yyy y G QQQ q')
date_format(TIMESTAMP'2024-02-29 13:04:05.678', 'YYYY-ww')
date_format(TIMESTAMP'2024-02-29 13:04:05.678', 'VV z O X x Z')
date_format(TIMESTAMP'2024-02-29 13:04:05.678', 'u')
date_format(TIMESTAMP'2024-02-29 13:04:05.678', 'F')
date_format(TIMESTAMP'2024-02-29 13:04:05.678', 'n')
date_format('2024-02-29', 'dd.MM.yyyy')
to_timestamp('29/Feb/2024:13:04:05 +0100', 'dd/MMM/yyyy:HH:mm:ss Z')
to_timestamp('2024-02-29T13:04:05.123Z', "yyyy-MM-dd'T'HH:mm:ss.SSSX")
to_timestamp('2024-02-29 1:04 PM', 'yyyy-MM-dd h:mm a')
to_timestamp('Feb 29, 2024', 'MMM d, yyyy')
to_timestamp('24-2-9', 'yy-M-d')
to_timestamp('20240229130405', 'yyyyMMddHHmmss')
to_timestamp('20240229130405123', 'yyyyMMddHHmmssSSS')
to_timestamp('2024-02-30', 'yyyy-MM-dd')
to_timestamp('2024-060', 'yyyy-DDD')
to_timestamp('10:11', 'HH:mm')
to_timestamp('1709210096')
to_timestamp(1709210096)
to_timestamp('x')
to_timestamp('2024-02-29 10:00:00.5', 'yyyy-MM-dd HH:mm:ss')
to_timestamp('2024-02-29 10:00:00.5', 'yyyy-MM-dd HH:mm:ss.SSSSSS')
to_timestamp('2024-02-29 10:00:00', 'yyyy-MM-dd HH:mm:ss[.SSS]')
to_timestamp('Thu 2024-02-29', 'E yyyy-MM-dd')
to_timestamp_ntz('2024-02-29 10:00:00+05:00')
to_timestamp_ltz('2024-02-29 10:00:00+05:00')
to_date('29.02.2024', 'dd.MM.yyyy')
to_date('2024-02-29 23:00:00')
to_date('02/2024', 'MM/yyyy')
unix_timestamp('2024-02-29 00:00:00')
unix_timestamp('2024', 'yyyy')
from_unixtime(1709210096)
from_unixtime(1709210096, 'yyyy')
unix_millis(TIMESTAMP'1969-12-31 23:59:59.9999')
timestamp_seconds(1.5)
timestamp_millis(-1)
timestamp_micros(1)
date_trunc('week', TIMESTAMP'2024-02-29 13:04:05')
date_trunc('QUARTER', TIMESTAMP'2024-02-29 13:04:05')
date_trunc('millisecond', TIMESTAMP'2024-02-29 13:04:05.123456')
date_trunc('foo', TIMESTAMP'2024-02-29 13:04:05')
trunc(DATE'2024-02-29', 'MM')
trunc('2024-02-29', 'YEAR')
trunc(DATE'2024-02-29', 'DAY')
add_months(DATE'2024-01-31', 1)
add_months('2024-02-29', 12)
months_between('2024-03-31', '2024-02-29')
months_between(TIMESTAMP'2024-03-15 12:00:00', TIMESTAMP'2024-02-14 00:00:00', false)
datediff(DATE'2024-03-01', DATE'2024-02-01')
datediff(MONTH, DATE'2024-01-31', DATE'2024-02-29')
timestampdiff(HOUR, TIMESTAMP'2024-01-01 00:59:00', TIMESTAMP'2024-01-01 02:00:00')
timestampadd(MONTH, 1, TIMESTAMP'2024-01-31 00:00:00')
dateadd(DAY, 5, DATE'2024-01-01')
date_add(DATE'2024-01-01', -1)
date_add('2024-01-01', 1)
date_add('2024-01-01', '1')
date_sub(DATE'2024-01-01', 1Y)
last_day('2024-02-01')
next_day('2024-02-29', 'TU')
next_day('2024-02-29', 'xx')
dayofweek('2024-02-29')
weekday('2024-02-29')
weekofyear('2024-12-30')
dayofyear('2024-12-31')
dayname(DATE'2024-02-29')
monthname(DATE'2024-02-29')
hour('2024-01-01 10:00:00')
make_date(2024, 2, 30)
make_timestamp(2024, 2, 29, 1, 2, 3.456)
make_timestamp(2024, 2, 29, 1, 2, 60)
make_timestamp(2024, 2, 29, 1, 2, 3.456, 'CET')
make_timestamp_ntz(2024, 2, 29, 1, 2, 3.456)
from_utc_timestamp('2024-07-01 12:00:00', 'Asia/Seoul')
to_utc_timestamp('2024-07-01 12:00:00', 'America/New_York')
convert_timezone('Europe/Brussels', 'America/Los_Angeles', TIMESTAMP_NTZ'2024-07-01 12:00:00')
convert_timezone('America/Los_Angeles', TIMESTAMP_NTZ'2024-07-01 12:00:00')
unix_date(DATE'1970-01-02')
date_from_unix_date(-1)
from_json('{"a":1,"b":"x"}', 'a INT, b STRING')
from_json('{"a":"1"}', 'a INT')
from_json('{"a":1.5}', 'a INT')
from_json('{"a":1}', 'A INT')
from_json('[1,2]', 'ARRAY<INT>')
from_json('[1,"x"]', 'ARRAY<INT>')
from_json('{"a":{"b":[1,{"c":2}]}}', 'a STRUCT<b: ARRAY<STRING>>')
from_json('{"a":1}', 'MAP<STRING,INT>')
from_json('{"a":1', 'a INT')
from_json('{"a":1', 'a INT', map('mode', 'FAILFAST'))
from_json('{"d":"29/02/2024"}', 'd DATE', map('dateFormat', 'dd/MM/yyyy'))
from_json('{"t":"29/02/2024 10:00"}', 't TIMESTAMP', map('timestampFormat', 'dd/MM/yyyy HH:mm'))
from_json("{'a':1}", 'a INT')
from_json("{'a':1}", 'a INT', map('allowSingleQuotes', 'false'))
from_json('{a:1}', 'a INT', map('allowUnquotedFieldNames', 'true'))
from_json('{"a":NaN}', 'a DOUBLE')
from_json('{"a":"NaN"}', 'a DOUBLE')
from_json('{"a":1e2}', 'a BIGINT')
from_json('{"a":12345678901234567890}', 'a BIGINT')
from_json('{"a":1.23456}', 'a DECIMAL(5,2)')
from_json('{"a":"aGk="}', 'a BINARY')
from_json('{"a":true}', 'a STRING')
from_json('{"a":[1,2]}', 'a STRING')
from_json('null', 'a INT')
from_json('', 'a INT')
from_json(NULL, 'a INT')
from_json('{"a":null}', 'a INT')
from_json('{"a":1,"a":2}', 'a INT')
from_json('{"ts":1700000000}', 'ts TIMESTAMP')
from_json('1', 'INT')
from_json('"x"', 'STRING')
from_json('{"a":1}', schema_of_json('{"a":1}'))
from_json('{"a":1}', 'a INT, _corrupt_record STRING')
from_json('{"a":"x"}', 'a INT, _corrupt_record STRING', map('columnNameOfCorruptRecord','_corrupt_record'))
from_json('{"a b":1}', '`a b` INT')
from_json('{"a":"2024-01-01"}', 'a TIMESTAMP_NTZ')
from_json('// c\n{"a":1}', 'a INT', map('allowComments','true'))
schema_of_json('{"a":[1,2.5],"b":{"c":null},"d":"2024-01-01"}')
schema_of_json('[]')
to_json(struct(1 AS a, NULL AS b))
to_json(struct(1 AS a, NULL AS b), map('ignoreNullFields','false'))
to_json(map('a', 1, 'b', NULL))
to_json(array(struct(1 AS a)))
to_json(array(1,NULL))
to_json(struct(1.50BD AS d, 1e10D AS e, CAST('NaN' AS DOUBLE) AS n, X'41' AS b))
to_json(struct(INTERVAL 1 DAY AS i))
to_json(struct('é"\\/\n\u0001😀' AS s))
to_json(struct(TIMESTAMP'2024-01-01 00:00:00' AS t), map('timestampFormat', 'dd/MM/yyyy'))
to_json(map(struct(1), 2))
to_json(map(1, 2))
get_json_object('{"a":{"b":[1,2,{"c":"x"}]}}', '$.a.b[2].c')
get_json_object('{"a":{"b":[1,2,{"c":"x"}]}}', '$.a.b[*]')
get_json_object('{"a":[{"b":1},{"b":2}]}', '$.a[*].b')
get_json_object('{"a":[{"b":1},{"b":2}]}', '$.a.b')
get_json_object('{"a b":1}', "$['a b']")
get_json_object('{"a.b":1}', "$['a.b']")
get_json_object('{"a":1}', '$')
get_json_object('{"a":"x\\ny"}', '$.a')
get_json_object('{"a":1.0}', '$.a')
get_json_object('{"a":1}', 'a')
get_json_object('{"a":null}', '$.a')
get_json_object('[1,2]', '$[0]')
get_json_object('{"a":{"x":1,"y":2}}', '$.a.*')
get_json_object('{"a":{"x":1,"y":2}}', '$.*')
get_json_object('not json', '$.a')
json_array_length('[1,2,[3]]')
json_array_length('{}')
json_object_keys('{"a":1,"b":2}')
from_csv('1,x', 'a INT, b STRING')
from_csv('1;x', 'a INT, b STRING', map('sep', ';'))
from_csv('y,x', 'a INT, b STRING')
from_csv('"a,b",2', 'a STRING, b INT')
to_csv(named_struct('b', X'6162FF'))
to_csv(named_struct('b', array(X'6162FF'), 'm', map('a', X'61'), 's', struct(X'', 1), 'l', array(1, NULL)))
from_json('{"a":1}', '{"type":"struct","fields":[{"name":"a","type":"integer","nullable":true,"metadata":{}}]}')
from_json('{"a":{"b":[1.5]},"c":{"x":3}}', '{"type":"struct","fields":[{"name":"a","type":{"type":"struct","fields":[{"name":"b","type":{"type":"array","elementType":"decimal(5,2)","containsNull":true},"nullable":false,"metadata":{}}]},"nullable":true,"metadata":{}},{"name":"c","type":{"type":"map","keyType":"string","valueType":"long","valueContainsNull":true},"nullable":true,"metadata":{"comment":"x"}}]}')
from_csv('1,x', '{"type":"struct","fields":[{"name":"a","type":"short","nullable":true,"metadata":{}},{"name":"b d","type":"string","nullable":true,"metadata":{}}]}')
to_csv(named_struct('m', map('a', CAST(NULL AS INT), 'b', 1), 's', struct(NULL, 1, NULL), 'l', array(NULL, 1)))
to_csv(named_struct('l', array(NULL, 1)), map('nullValue','N'))
to_csv(named_struct('l', array(struct(NULL,1), NULL), 'd', array(DATE'2024-01-02'), 't', array(TIMESTAMP'2024-01-02 03:04:05')), map('dateFormat','yyyy'))
to_csv(named_struct('l', array(CAST(1 AS DECIMAL(20,10)), CAST(0.00000000012 AS DECIMAL(20,10)))))
to_csv(struct(1, 'a,b', NULL))
to_csv(struct(NULL))
to_csv(named_struct('a', CAST(NULL AS INT)), map('nullValue', 'N'))
to_csv(struct(''))
to_csv(struct(''), map('emptyValue', ''))
to_csv(struct(NULL, NULL))
to_csv(struct(1, DATE'2024-01-01'), map('dateFormat','dd/MM'))
schema_of_csv('1,a')
typeof(NULL)
typeof(1e3)
typeof(array(map(1,struct('a'))))
equal_null(NULL, 1)
bitmap_bit_position(5)
bitmap_count(X'FF')
zip_with(array(1), array(2), (x,y)->x+y)
transform(transform_values(map('a', array(1,2), 'b', array(3)), (k, v) -> aggregate(v, 0, (s, x) -> s + x))['a'] + array(1)[0], x -> x)
transform(array('b','a'), x -> struct(x AS k, length(x) AS n)).k
aggregate(map_values(map('a',1.5,'b',2.5)), CAST(0 AS DECIMAL(12,1)), (s, x) -> CAST(s + x AS DECIMAL(12,1)))
filter(map_entries(map('a',1,'b',NULL)), e -> e.value IS NOT NULL)
map_from_entries(filter(map_entries(map('a',1,'b',2)), e -> e.key != 'a'))
array_sort(map_keys(map('z',1,'a',2)))
array_sort(array(NULL, 3, 1), (a, b) -> CASE WHEN a IS NULL THEN 1 WHEN b IS NULL THEN -1 ELSE a - b END)
transform(sequence(0, 3), i -> element_at(array('a','b','c','d'), i + 1))
aggregate(sequence(1, 20), 1L, (a, x) -> a * x)
aggregate(sequence(1, 22), 1L, (a, x) -> a * x)
aggregate(array(1,2,3), CAST(NULL AS INT), (a, x) -> coalesce(a, 0) + x)
aggregate(array(1,2,3), named_struct('n', 0, 's', 0), (a, x) -> named_struct('n', a.n + 1, 's', a.s + x), a -> a.s / a.n)
zip_with(array(1,2,3), array('a','b'), (x, y) -> coalesce(y, 'none') || x)
map_zip_with(map(1,'a',2,'b'), map(1L,'x'), (k, a, b) -> concat_ws('-', k, a, b))
transform_keys(map('a',1,'b',2), (k, v) -> k || v)
transform_keys(map('a',1,'b',2), (k, v) -> 'same')
arrays_overlap(array(1,NULL), array(2))
arrays_overlap(array(array(1)), array(array(1)))
array_intersect(array('a','b','b'), array('b','c'))
array_distinct(array(1, 1.0, NULL, NULL))
array_remove(array(1,2,NULL,2), 2)
array_append(array(1), 'a')
array_prepend(array('a'), NULL)
array_insert(array(1,2), 5, 9)
array_insert(array(1,2), -1, 9)
array_insert(array(1,2), 0, 9)
array_size(array(1,NULL))
get(array(1,2), 5)
get(array(1,2), -1)
named_struct('a', 1, 'b', named_struct('c', array(named_struct('d', map('e', 1)))))['b']['c'][0]['d']['e']
struct(1 AS x, 2 AS y).y + struct(3 AS x).x
array(struct(1, 'a'), struct(2, NULL)).col2
map(struct(1, 'a'), 'v')[struct(1, 'a')]
map(1.5, 'a')[1.5]
map('k', NULL)['k'] IS NULL
map_contains_key(map('a', 1), 'A')
size(map())
map()
array(NULL)
array(array(), array(1))
struct()
map_concat()
element_at(array(array(1,2)), 1)[1]
concat(array(array(1)), array(array(2)))
flatten(array(array(array(1)), array()))
array_repeat(NULL, 2)
sequence(1, 10, 0)
sequence(1, 1, 0)
sequence(5, 1)
sequence(1, 3, -1)
sequence(DATE'2024-03-31', DATE'2024-01-31', INTERVAL -1 MONTH)
sequence(TIMESTAMP'2024-01-01 00:00:00', TIMESTAMP'2024-01-01 01:00:00', INTERVAL 20 MINUTES)
slice(array(1,2,3), 0, 1)
slice(array(1,2,3), 2, -1)
slice(array(1,2,3), 5, 2)
array_join(array(1, NULL, 3), ',')
array_join(array(true, false), '')
array_max(array(array(1,2), array(1,3)))
array_min(array(CAST('NaN' AS DOUBLE), 1D))
sort_array(array(struct(2,'a'), struct(1,'b')))
sort_array(array('b', NULL, 'a'), true)
reverse(array(struct(1), struct(2)))
array_position(array('a', NULL), NULL)
exists(array(), x -> true)
forall(array(), x -> false)
cardinality(array(array(1,2),array(3)))
1.1 + 2.22 * 3.333
(1.1 + 2.22) * 3.333
10.00 / 3.0 * 3
1 / 3.0
2.0 / 3
100000000000000000000.0 / 3
0.000000000001 * 0.000000000001
CAST(1 AS DECIMAL(38,10)) / 7
CAST(12345.678 AS DECIMAL(20,10)) * CAST(0.0001 AS DECIMAL(20,10))
CAST(99999.99 AS DECIMAL(7,2)) + 0.01
CAST(1.5 AS DECIMAL(5,2)) % CAST(0.4 AS DECIMAL(3,1))
-CAST(1.5 AS DECIMAL(5,2)) % CAST(0.4 AS DECIMAL(3,1))
round(CAST(2.345 AS DECIMAL(10,3)), 2)
round(-2.345, 2)
round(2.345D, 2)
round(1.005D, 2)
round(25, -1)
round(15L, -1)
bround(25, -1)
bround(3.5)
bround(-2.5D)
ceil(CAST(1.001 AS DECIMAL(10,3)))
floor(-1.001BD)
ceil(-0.5D)
floor(9223372036854775807L)
ceil(1e20D)
trunc(1.5)
1e308D * 10
-1e308D * 10
0D / 0.0D
CAST('NaN' AS DOUBLE) = CAST('NaN' AS DOUBLE)
CAST('NaN' AS DOUBLE) > 1e308D
-0.0D = 0.0D
1.0F / 3
CAST(0.1F AS DOUBLE)
0.1F + 0.2
0.1F = 0.1
0.1F = 0.1D
CAST(16777217 AS FLOAT)
CAST(9007199254740993L AS DOUBLE)
CAST(1.0E10F AS STRING)
CAST(1234567.0F AS STRING)
CAST(12345678.0F AS STRING)
CAST(0.00001F AS STRING)
CAST(3.4028235E38F AS STRING)
CAST(4.9E-324D AS STRING)
CAST(1.7976931348623157E308D AS STRING)
CAST(9007199254740993D AS STRING)
CAST(1e21D AS STRING)
CAST(1e-3D AS STRING)
CAST(9.999e-4D AS STRING)
CAST(100D AS STRING)
CAST(1.0D AS BIGINT)
127Y * 2Y
100Y + 100
32767S * 2
-32768S / -1S
-9223372036854775808L div -1
-9223372036854775808L % -1
5 div 0
5.5 div 0
INTERVAL '1' YEAR div INTERVAL '5' MONTH
5 div 2.5
-5 div 2
-5 % 3
5 % -3
-5.5 % 2
5Y % 3S
pmod(-5, 3)
pmod(-5.5D, 3)
pmod(5, -3)
pmod(-7, -3)
mod(10, 4L)
'10' / 2
'10' * '2'
'10' % 3
'1.5' + 1L
'5' - 2S
'abc' || 1.50
'x' || true
'd' || DATE'2024-01-01'
'a' || array(1)
array(1) || array(2)
1 < '2'
'10' < '9'
'10' < 9
1.0 = 1
'1' = 1.0
'1e2' = 100D
'true' = true
'TRUE' = true
'x' = true
DATE'2024-01-01' > '2023-12-31'
'2024-01-01' < TIMESTAMP'2024-01-01 00:00:01'
TIMESTAMP'2024-01-01 00:00:00' BETWEEN '2023-01-01' AND '2025-01-01'
DATE'2024-01-01' IN ('2024-01-01', '2024-01-02')
1 IN (1.0, 2.0)
1 IN ('1')
'a' IN ('A')
1Y IN (1L)
NULL IN (NULL)
array(1) IN (array(1), array(2))
1 NOT IN (1)
NOT (1 IN (NULL))
'b' BETWEEN 'A' AND 'a'
1.5 BETWEEN 1 AND 2
NULL IS NULL
1 IS NOT NULL
true IS TRUE
NULL IS UNKNOWN
NULL IS NOT FALSE
1 IS DISTINCT FROM NULL
NULL IS NOT DISTINCT FROM NULL
true XOR false
true AND NULL
false AND NULL
NULL OR false
NOT NULL
CASE WHEN 1 > 2 THEN 'a' END
CASE 5 WHEN 1 THEN 'a' WHEN 5 THEN NULL ELSE 'c' END
CASE WHEN true THEN 1Y WHEN false THEN 2L ELSE 3.5 END
CASE WHEN true THEN DATE'2024-01-01' ELSE TIMESTAMP'2024-01-01 00:00:00' END
CASE WHEN true THEN array(1) ELSE array(2L) END
CASE WHEN true THEN struct(1) ELSE struct('a') END
CASE WHEN true THEN 1 ELSE '2' END
if(1 = 1, 1Y, 1.5F)
if(true, NULL, 1)
if('true', 1, 2)
iff(true, 1, 2)
coalesce(1Y, 2L)
coalesce(NULL, NULL)
coalesce(array(1), array())
coalesce('1', 2)
nvl('1', 2)
nvl2('x', 1, 2.5)
nullif(NULL, 1)
nullif(1, 2L)
greatest('10', '9')
greatest(DATE'2024-01-01', DATE'2023-01-01')
least(1, NULL, 0.5)
greatest(array(1), array(2))
least(true, false)
'abc' LIKE ''
'' LIKE '%'
'a\\b' LIKE 'a\\\\b'
'a%b' LIKE 'a!%b' ESCAPE '!'
'a%b' LIKE 'a/%b' ESCAPE '/'
'abc' LIKE 'a!bc' ESCAPE '!'
'abc' LIKE '%b%'
'abc' LIKE '_b_'
'a\nb' LIKE 'a_b'
'ÀB' ILIKE 'àb'
'İ' ILIKE 'i̇'
'x' LIKE ANY ('a', NULL)
'x' LIKE ALL ('x', NULL)
'x' LIKE SOME ('x')
'x' NOT LIKE ANY ('x')
'abc' LIKE concat('a', '%')
'a1b2' RLIKE '\\d'
'abc' RLIKE 'a(?=b)'
'abc' RLIKE '(?<=a)b'
'abc' RLIKE '(?<!a)b'
'aaa' RLIKE '^a{3}$'
'aaa' RLIKE '^a{2,}?$'
'ab12' RLIKE '^\\p{Alnum}+$'
'ab_12' RLIKE '^\\w+$'
'é' RLIKE '^\\w$'
'é' RLIKE '^\\p{L}$'
'中' RLIKE '\\p{IsHan}'
'ß' RLIKE '(?iu)SS'
'K' RLIKE '(?i)k'
'a\r\nb' RLIKE 'a$'
'a\nb' RLIKE '(?m)^b'
'a\nb' RLIKE '(?s)a.b'
'a\nb' RLIKE 'a.b'
'aXbXc' RLIKE 'X.*?X'
'foo.bar' RLIKE 'foo[.]bar'
'a-b' RLIKE '[a\\-]'
'tel: 0123' RLIKE '\\b\\d{4}\\b'
regexp_extract('abc123def456', '(\\d+)', 1)
regexp_extract('abc', '(x)?', 1)
regexp_extract('abc', '(a)(b)', 3)
regexp_extract('2024-01-02', '(?<y>\\d{4})-(?<m>\\d{2})', 1)
regexp_extract('', '(a)', 1)
regexp_extract_all('a1b2', '(\\w)(\\d)')
regexp_extract_all('a1b2', '\\d', 0)
regexp_replace('aaa', 'a', 'b', 2)
regexp_replace('hello', '(l)(l)', '$2-$1')
regexp_replace('hello', 'l', '$0$0')
regexp_replace('hello', 'l', '\\\\')
regexp_replace('hello', 'x*', '-')
regexp_replace('a.b.c', '[.]', '')
regexp_replace('hello', 'l', '$1')
regexp_replace('tab\tx', '\\s', ' ')
regexp_replace('ÄÖ', '[^\\x00-\\x7F]', '?')
regexp_instr('abcb', 'b')
regexp_substr('abc', 'x')
regexp_count('aaaa', 'aa')
split('a|b', '\\|')
split('aXbxc', '(?i)x')
split('a  b', ' ')
split('abc', '(?=b)')
split('1,2,3', ',', 0)
split('oneAtwoBthreeC', '[ABC]', 2)
substring_index('www.apache.org', '.', 2)
substring_index('www.apache.org', '.', -1)
substring_index('a.b', '', 1)
split_part('a,b,c', ',', 2)
split_part('abc', ',', 2)
concat_ws(NULL, 'a', 'b')
concat_ws('-', 'a', array('b', NULL), NULL, 'c')
concat()
length('')
length('é')
length(X'0102')
char_length('ab ')
lower('ÄÖÜ ΑΣ')
upper('ﬁ ß')
initcap('o''neil mc-donald ÉCOLE')
left('abc', -1)
right('abc', 0)
substr('héllo', -3, 2)
substring('abc', 1, -1)
substring('abc', 5)
substring('Spark', 2147483647)
lpad('7', 3, '0')
rpad('abc', 2, 'x')
lpad('a', 4, 'xyz')
lpad(X'01', 3, X'00')
trim('\t a \n')
trim(' a ')
ltrim('  a')
rtrim('xx', 'axx')
trim('abc' FROM 'cabxbac')
translate('abc', 'ab', 'x')
translate('😀a', '😀', 'z')
replace('aXbX', 'X', '')
repeat('ab', -1)
ascii('')
ascii('é')
chr(-1)
chr(256)
char(233)
instr('abc', '')
locate('b', 'abcb', 3)
position('z' IN 'abc')
locate('b', 'abc', 0)
levenshtein('', 'abc')
soundex('Ashcraft')
format_number(12.5, 0)
format_number(-1234.5, 2)
format_number(1234567L, '#,##0.00')
format_number(0.0, 2)
format_string('%s', 1.50)
format_string('%s', CAST(1.5 AS DOUBLE))
format_string('%08.3f', -3.14159D)
format_string('%+.1e', 12345D)
format_string('%-8s|', 'ab')
format_string('%S', 'abc')
format_string('%g', 1e10D)
format_string('%G', 1e-10D)
format_string('%g', 0.0D)
format_string('%.3g', 123.456D)
format_string('%10.2g|', 0.000123D)
format_string('%(d', -5)
format_string('%#x', 255)
format_string('%s %s', 'a')
format_string('%d%%', 50)
format_string('%d', 5L)
format_string('%d', '5')
format_string('%.3s', 'abcdef')
format_string('%.0s|', NULL)
format_string('%S', NULL)
format_string('%10.2s|', NULL)
format_string('%,.2f', 1234567.891D)
format_string('%f', 1.5BD)
format_string('%b %B', NULL, true)
hex(X'0AFF')
hex('é')
unhex('zz')
unhex('ABC')
base64(X'00FF')
unbase64('AP8=')
encode('abc', 'utf-8')
encode('é', 'utf-32')
decode(X'C3A9', 'utf-8')
decode(X'E9', 'latin1')
md5('')
sha('abc')
sha2('abc', 512)
crc32('')
xxhash64('a', NULL, 1)
hash(array(1, 2), map('a', 1))
hash(1.5BD)
hash(1.5D, 1.5F)
hash(true, DATE'2024-01-01')
conv('100', 2, 10)
conv('-FF', 16, -10)
conv('9223372036854775808', 10, 16)
conv('xyz', 10, 16)
bin(-1)
shiftleft(1L, 65)
1 << 32
bit_count(7L)
bit_get(11, 0)
~0
5 ^ 1
1 | 2 & 3
1 + 2 * 3 % 2 - 1
2 + 3 || 'a'
-2 * -3
- (1 + 2)
-1.5BD
+'5'
!NULL
NOT false AND false
1 = 1 = true
1 < 2 AND 2 < 3 OR false
date_format(DATE'2024-01-05', 'EEE, MMM d yyyy')
date_format(TIMESTAMP'2024-01-05 00:05:09', 'h:m:s a')
date_format(TIMESTAMP'2024-01-05 13:05:09.123456', 'HH:mm:ss.SSSSSS')
date_format(TIMESTAMP'2024-01-05 13:05:09.100', 'ss.S')
date_format(TIMESTAMP'2024-01-05 13:05:09', "yyyy'W'w")
date_format(TIMESTAMP'2024-01-05 13:05:09', 'yyyyMMdd')
date_format(TIMESTAMP'2024-01-05 13:05:09', '')
date_format(TIMESTAMP'2024-01-05 13:05:09', 'MMMMM')
date_format(TIMESTAMP'2024-01-05 13:05:09', "''yy''")
date_format(TIMESTAMP'2024-01-05 13:05:09', 'LLLL')
date_format(TIMESTAMP'2024-01-05 13:05:09', 'DDD')
date_format(TIMESTAMP'2024-01-05 13:05:09', 'xxx')
date_format(TIMESTAMP'2024-01-05 13:05:09', '[yyyy]')
date_format(NULL, 'yyyy')
to_timestamp('2024-01-05 13:05:09.123456789', 'yyyy-MM-dd HH:mm:ss.SSSSSSSSS')
to_timestamp('5.1.2024', 'd.M.yyyy')
to_timestamp('05/Jan/24', 'dd/MMM/yy')
to_timestamp('january 5 2024', 'MMMM d yyyy')
to_timestamp('January 5 2024', 'MMMM d yyyy')
to_timestamp('2024-01-05T13:05:09+01:00', "yyyy-MM-dd'T'HH:mm:ssXXX")
to_timestamp('2024-01-05T13:05:09Z', "yyyy-MM-dd'T'HH:mm:ssXXX")
to_timestamp('2024-01-05 13:05 Europe/Berlin', 'yyyy-MM-dd HH:mm VV')
to_timestamp('12:30 PM', 'hh:mm a')
to_timestamp('2024', 'yyyy')
to_timestamp(' 2024-01-05', 'yyyy-MM-dd')
to_timestamp('2024-1-5', 'yyyy-MM-dd')
to_timestamp('2024-01-05 25:00', 'yyyy-MM-dd HH:mm')
to_timestamp('2024-01-05 00:00', 'yyyy-MM-dd kk:mm')
to_timestamp(DATE'2024-01-05')
to_timestamp(NULL, 'yyyy')
to_date('2024-366', 'yyyy-DDD')
to_date('20240105', 'yyyyMMdd')
to_date('2024-01-05 junk', 'yyyy-MM-dd')
to_date(TIMESTAMP'2024-01-05 23:59:59')
try_to_timestamp('x', 'yyyy')
try_to_date('x', 'yyyy')
to_unix_timestamp('2024-01-05', 'yyyy-MM-dd')
from_unixtime(0, 'yyyy-MM-dd HH:mm:ss')
from_unixtime(-1)
unix_seconds(TIMESTAMP'1970-01-01 00:00:01.9')
unix_micros(TIMESTAMP'1969-12-31 23:59:59')
timestamp_seconds(-0.5)
timestamp_seconds(1e3D)
date_trunc('month', '2024-01-15')
date_trunc('decade', TIMESTAMP'2024-01-15 00:00:00')
date_trunc('year', DATE'2024-05-05')
trunc('2024-05-15', 'week')
trunc('2024-05-15', 'q')
add_months(DATE'2024-03-31', -1)
add_months(DATE'2024-02-29', 1)
months_between('2024-01-31', '2024-02-29')
months_between('2024-01-31 12:00:00', '2024-01-30')
datediff('2024-01-01', '2024-01-02')
date_diff('2024-01-01', TIMESTAMP'2024-01-02 10:00:00')
timestampdiff(MONTH, TIMESTAMP'2024-01-31 00:00:00', TIMESTAMP'2024-02-29 00:00:00')
timestampdiff(DAY, DATE'2024-01-01', DATE'2024-01-31')
timestampadd(QUARTER, -1, DATE'2024-01-31')
date_add(DATE'2024-01-01', 2147483647)
date_add(DATE'2024-01-01', 1.5)
date_sub('2024-01-01', 1)
dateadd(MONTH, 1, TIMESTAMP'2024-01-31 00:00:00')
last_day(DATE'2023-02-01')
next_day(DATE'2024-01-01', 'Monday')
dayofmonth('2024-01-05')
day('2024-01-05 10:00:00')
year('2024')
quarter(TIMESTAMP'2024-12-31 23:59:59')
minute(TIMESTAMP_NTZ'2024-12-31 23:59:59')
second('2024-12-31 23:59:59.9')
make_date(2024, 2, 29)
make_timestamp(2024, 1, 1, 0, 0, 59.999999)
make_timestamp(2024, 1, 1, 24, 0, 0)
make_timestamp(DATE'2024-01-01', NULL)
try_make_timestamp(2024, 2, 30, 0, 0, 0)
make_timestamp_ltz(2024, 1, 1, 0, 0, 0, 'Asia/Tokyo')
DATE'2024-03-31' - INTERVAL 1 MONTH
DATE'2024-03-31' - INTERVAL '1' YEAR
TIMESTAMP'2024-03-31 00:00:00' - INTERVAL 1 MONTH
TIMESTAMP'2024-01-01 00:00:00' + INTERVAL '1.5' SECOND
TIMESTAMP'2024-01-01 00:00:00' + INTERVAL 1 DAY 2 HOURS
TIMESTAMP'2024-01-01 00:00:00' + INTERVAL 1 MONTH 2 DAYS
TIMESTAMP_NTZ'2024-01-01 00:00:00' - TIMESTAMP_NTZ'2023-12-31 00:00:00'
DATE'2024-01-01' + INTERVAL '1 1' DAY TO HOUR
INTERVAL '2' DAY * 1.5D
INTERVAL '2' MONTH * 1.5
INTERVAL '10' MONTH / 3
INTERVAL '1' YEAR + INTERVAL '1' DAY
INTERVAL '1' YEAR = INTERVAL '12' MONTH
INTERVAL '90' MINUTE > INTERVAL '1' HOUR
-INTERVAL '1-2' YEAR TO MONTH
INTERVAL '100' HOUR
INTERVAL '1000' MINUTE
INTERVAL '-5' MONTH
INTERVAL '1:2' HOUR TO MINUTE
INTERVAL '1 2:3:4.123456' DAY TO SECOND
INTERVAL '25' HOUR
INTERVAL 1.5 DAYS
INTERVAL '1.5' DAY
INTERVAL -1 DAY
INTERVAL 1 DAY -2 HOURS
INTERVAL '1' DAYS
INTERVAL '13' MONTH
INTERVAL '0-13' YEAR TO MONTH
extract(YEARS FROM INTERVAL '15' MONTH)
extract(MINS FROM INTERVAL '90' MINUTE)
extract(D FROM INTERVAL '50' HOUR)
extract(MON FROM DATE'2024-05-05')
extract(S FROM TIMESTAMP'2024-05-05 01:02:03.5')
extract(W FROM DATE'2024-05-05')
date_part('SECONDS', TIMESTAMP'2024-05-05 01:02:03.5')
datepart('doy', DATE'2024-05-05')
make_dt_interval(1, 1, 1, 1.000001)
make_dt_interval()
make_ym_interval(-1, -1)
CAST('1-2' AS INTERVAL YEAR TO MONTH)
CAST('INTERVAL ''1 02:03:04'' DAY TO SECOND' AS INTERVAL DAY TO SECOND)
CAST('1 02:03:04' AS INTERVAL DAY TO SECOND)
to_char(1234.5, '9,999.99')
to_char(1234.5, '0,009.990')
to_char(12.3, '99')
to_char(0, '9')
to_char(-5, 'S9')
to_char(5, 'S9')
to_char(5, 'MI9')
to_char(1234567, '9,999,999')
to_char(TIMESTAMP'2024-01-05 13:05:09', 'HH:mm')
to_number('1,234.5', '9,999.9')
to_number('-5', 'S9')
to_number('5-', '9MI')
to_number('x', '9')
try_to_number('$5', '$9')
url_encode('https://a.b/c d?e=f&g=ü')
url_decode('a%2Bb%20c')
parse_url('https://x.org/p?a=1&b=2&a=3', 'QUERY', 'a')
parse_url('https://x.org/p?a=1', 'QUERY')
parse_url('https://x.org', 'PATH')
parse_url('https://x.org/p#r', 'REF')
parse_url('ftp://x.org/p', 'PROTOCOL')
parse_url('mailto:a@b.c', 'HOST')
try_parse_url('https://a b', 'HOST')
from_json('{"a":[{"b":1},{"b":null}]}', 'a ARRAY<STRUCT<b: INT>>')
from_json('{"a":{"x":1,"y":"z"}}', 'a MAP<STRING, STRING>')
from_json('{"a":1}{"a":2}', 'a INT')
from_json('[{"a":1},{"a":2}]', 'ARRAY<STRUCT<a: INT>>')
from_json('{"a":"2024-01-05T13:05:09.123+01:00"}', 'a TIMESTAMP')
from_json('{"a":"2024-01-05 13:05:09"}', 'a TIMESTAMP')
from_json('{"a":"05.01.2024"}', 'a DATE')
from_json('{"a":"2024-01-05"}', 'a DATE')
from_json('{"a":19000}', 'a DATE')
from_json('{"a":"true"}', 'a BOOLEAN')
from_json('{"a":0}', 'a BOOLEAN')
from_json('{"a":99999999999}', 'a INT')
from_json('{"a":1.0}', 'a INT')
from_json('{"a":"1.5"}', 'a DOUBLE')
from_json('{"a":1.5}', 'a FLOAT')
from_json('{"a":123.456}', 'a DECIMAL(4,1)')
from_json('{"a":99999}', 'a DECIMAL(4,1)')
from_json('{"a":"x"}', 'a STRUCT<b: INT>')
from_json('{"a":[]}', 'a STRUCT<b: INT>')
from_json('{"a":{}}', 'a ARRAY<INT>')
from_json('{"a":"\\u00e9\\n"}', 'a STRING')
from_json('{"a": 1 , }', 'a INT')
from_json('{"a":01}', 'a INT')
from_json('{"a":01}', 'a INT', map('allowNumericLeadingZeros', 'true'))
from_json('{"a":+1}', 'a INT')
from_json('{"a":.5}', 'a DOUBLE')
from_json('{"a":Infinity}', 'a DOUBLE')
from_json('{"a":-Infinity}', 'a DOUBLE', map('allowNonNumericNumbers', 'false'))
from_json('{"a":"1 day"}', 'a INTERVAL DAY TO SECOND')
from_json('{"a":1}', 'STRUCT<a: BIGINT, b: STRING>')
from_json('{"a":1}', 'a BIGINT COMMENT ''x''')
from_json('{"a":1}', 'a NOPE')
from_json('{"A":1}', 'a INT')
from_json('  ', 'a INT')
from_json('"x"', 'a INT')
from_json('{"a":"x","b":2}', 'a INT, b INT', map('mode', 'PERMISSIVE'))
from_json('{"a":"x"}', 'a INT', map('mode', 'DROPMALFORMED'))
from_json('{"a":1,"b":{"c":[1,"2"]}}', 'a STRING, b STRING')
from_json('{"a":1e400}', 'a DOUBLE')
from_json('{"a":""}', 'a INT')
from_json('{"a":""}', 'a STRING')
from_json('{"a":null}', 'a ARRAY<INT>')
from_json('{"k1":{"v":1}}', 'MAP<STRING, STRUCT<v: INT>>')
from_json('{"1":"a"}', 'MAP<INT, STRING>')
to_json(named_struct('a', CAST(NULL AS INT), 'b', array(NULL)))
to_json(named_struct('f', 1.0F, 'd', 0.1D, 'e', 1e20D, 'm', 1.10BD))
to_json(named_struct('t', TIMESTAMP'2024-01-05 13:05:09.123456'))
to_json(named_struct('t', DATE'2024-01-05', 'n', TIMESTAMP_NTZ'2024-01-05 13:05:09'))
to_json(named_struct('b', true, 'x', X'00FF', 's', struct(1)))
to_json(map('a', map('b', array(1, 2))))
to_json(array(map('a', 1)))
to_json(named_struct('a', 'x</script>'))
to_json(named_struct('a', CAST('Infinity' AS DOUBLE)))
to_json(array())
to_json(map())
to_json('x')
get_json_object('{"a":[1,[2,3]]}', '$.a[1][0]')
get_json_object('{"a":[{"b":[1,2]},{"b":[3]}]}', '$.a[*].b[*]')
get_json_object('{"a":[{"b":1}]}', '$.a[*]')
get_json_object('{"a":[]}', '$.a[0]')
get_json_object('{"a":"b"}', '$.a.b')
get_json_object('{"a":{"b":true}}', '$.a')
get_json_object('{"a":"é"}', '$.a')
get_json_object('{"a":"\\u00e9"}', '$.a')
get_json_object('[{"a":1},{"a":2}]', '$[*].a')
get_json_object('[1,2,3]', '$[5]')
get_json_object('[1,2,3]', '$[-1]')
get_json_object('{"$":1}', '$.$')
get_json_object('{"a":1}', '$.')
get_json_object('{"a":1}', '$..a')
get_json_object('{"a":1.50}', '$.a')
get_json_object('{"a":1e2}', '$.a')
get_json_object('{"a": {"b" : 1 } }', '$.a')
get_json_object('', '$.a')
get_json_object(NULL, '$.a')
json_array_length('[1,')
json_array_length(NULL)
json_object_keys('{"b":1,"a":{"c":1}}')
json_object_keys('[]')
schema_of_json('{"a":1,"b":1.5,"c":true,"d":"x","e":[{"f":1}]}')
schema_of_json('[{"a":1},{"b":2}]')
schema_of_json('1')
from_csv('1,2024-01-05,x y', 'a INT, b DATE, c STRING')
from_csv('1', 'a INT, b STRING')
from_csv('a|b', 'x STRING, y STRING', map('delimiter', '|'))
from_csv('05/01/2024', 'd DATE', map('dateFormat', 'dd/MM/yyyy'))
from_csv('', 'a INT')
to_csv(named_struct('a', 1, 'b', 'x "y"', 'c', NULL, 'd', true))
to_csv(named_struct('a', TIMESTAMP'2024-01-05 13:05:09'), map('timestampFormat', 'HH:mm'))
from_csv('a,b\nc', 'a STRING, b STRING')
from_csv('a,2\n', 'a STRING, b INT')
from_csv('\na,2', 'a STRING, b STRING')
from_csv('a\n,2', 'a STRING, b INT')
from_csv('a,b\r\n', 'a STRING, b STRING')
from_csv('a,b\rc', 'a STRING, b STRING')
from_csv('a,b\n', 'a STRING, b STRING', map('mode', 'FAILFAST'))
from_csv('a,"b\nc"', 'a STRING, b STRING')
from_csv('a,"b\nc"\n', 'a STRING, b STRING')
from_csv('a,"b"\nc', 'a STRING, b STRING')
from_csv('\n', 'a STRING, b STRING')
from_csv('a\uffffb,c', 'a STRING, b STRING')
from_csv('a,b,c\n', 'a STRING, b STRING, _corrupt_record STRING')
from_csv('a,b,c\r\n', 'a STRING, b STRING, _corrupt_record STRING')
from_csv('a,b,c\r', 'a STRING, b STRING, _corrupt_record STRING')
from_csv('', 'a STRING, _corrupt_record STRING')
from_csv('#a,2', 'a STRING, b INT', map('comment', '#'))
from_csv('#a,2', 'a STRING, b INT')
from_csv('a,#2', 'a STRING, b STRING', map('comment', '#'))
from_csv(' #a,2', 'a STRING, b STRING', map('comment', '#'))
from_csv('#a,2', 'a STRING, b INT, _corrupt_record STRING', map('comment', '#'))
from_csv('#a,2', 'a STRING, b INT', map('comment', '#', 'mode', 'FAILFAST'))
to_csv(named_struct('a', '#x', 'b', '#y'), map('comment', '#'))
to_csv(named_struct('a', '#x', 'b', '!y'), map('comment', '!'))
to_csv(named_struct('a', '!x', 'b', '!y'), map('comment', '!'))
to_csv(named_struct('a', '#x', 'b', '#y'), map('comment', ''))
schema_of_csv('1,a\nb,2')
schema_of_csv('1\n')
schema_of_csv('\n1')
schema_of_csv('1,2\r\n')
schema_of_csv('#1,2', map('comment', '#'))
schema_of_csv('01/02/2024', map('dateFormat', 'dd/MM/yyyy'))
schema_of_csv('1/2/2024', map('dateFormat', 'd/M/yyyy'))
schema_of_csv('2024-02-01', map('dateFormat', 'dd/MM/yyyy'))
schema_of_csv('2024-02-01 10:11:12', map('dateFormat', 'dd/MM/yyyy'))
schema_of_csv('2024-02', map('dateFormat', 'yyyy-MM'))
schema_of_csv('20240201', map('dateFormat', 'yyyyMMdd'))
schema_of_csv('01/02/2024', map('dateFormat', 'dd/MM/yyyy', 'timestampFormat', 'dd/MM/yyyy'))
schema_of_csv('2024-02-01', map('timestampFormat', 'dd/MM/yyyy'))
str_to_map('a:1,b:2')
str_to_map('a', ',', ':')
str_to_map('')
str_to_map('a=1&a=2', '&', '=')
decode(1, 2, 'x')
decode('a', 'a', 1, 'b')
luhn_check('4111111111111111')
elt(1, 'a')
find_in_set('c', 'a,b')
space(0)
overlay('abcdef' PLACING '__' FROM 3 FOR 0)
bitmap_bucket_number(123456)
equal_null(1, 1)
hypot(0, 0)
log(0)
log(-1)
sqrt(-1)
acos(2)
asin(1)
atan(1)
cot(1)
csc(1)
sec(1)
sinh(1)
tanh(0.5)
cosh(1)
asinh(1)
atanh(0.5)
exp(0)
pow(0, 0)
pow(2, 0.5)
pow(-8, 1.0/3)
cbrt(-27)
ln(10)
log10(0.001)
log2(10)
degrees(1)
pi()
factorial(0)
factorial(-1)
rint(-2.5)
sign(-0.0D)
positive('5')
negative(5Y)
abs('-5')
abs(-5.5BD)
abs(CAST(NULL AS INT))
width_bucket(10.6, 0.2, 10.6, 5)
width_bucket(0.1, 0.2, 10.6, 5)
width_bucket(NULL, 0, 10, 5)
from_json('{"a":"x"}', 'a INT, _corrupt_record STRING')
from_json('{bad', 'a INT, bad STRING', map('columnNameOfCorruptRecord', 'bad'))
from_json('{"a":{"b":"x"}}', 'a STRUCT<b: INT>, _corrupt_record STRING')
from_json('{"_corrupt_record":"z","a":1}', 'a INT, _corrupt_record STRING')
from_json('{"a":"x","b":2}', '_corrupt_record STRING, a INT, b INT')
from_json('', 'a INT, _corrupt_record STRING')
from_json('[{"a":"x"}]', 'a INT, _corrupt_record STRING')
from_json('{"a":"x"}', 'a INT, _corrupt_record STRING')._corrupt_record
from_json('{"a":"x"}', 'a INT, b INT').b

-- set: ansi=false
CAST('x' AS INT)
CAST(300 AS TINYINT)
1/0
2147483647 + 1
array(1)[5]
element_at(map(1,2), 3)
to_date('x')
1 + 'a'
'2' > 1
CAST('12.7' AS INT)
CAST(1e20D AS INT)
99999999999999999999999999999999999999 * 10
coalesce(1, 'a')
array(1, 'a')
if(true, 1, 'a')
make_date(2024, 13, 1)
CAST('2024-01-01 25:00:00' AS TIMESTAMP)
'a' < 1
1 IN ('1', 'b')
CAST(TIMESTAMP'2024-01-01 00:00:00' AS TINYINT)
abs(-2147483648)
-(-128Y)
'abc' + 1
'1' + '2'
CAST('abc' AS DOUBLE)
CAST('2024-13-01' AS DATE)
CAST('1.5' AS INT)
CAST(128 AS TINYINT)
CAST(1e30D AS BIGINT)
CAST(3000000000L AS INT)
1 / 0
1 % 0
1.0 / 0
5 div 0
pmod(1, 0)
127Y + 1Y
9223372036854775807L + 1
-9223372036854775808L - 1
9223372036854775807L * 2
CAST(99999999999999999999999999999999999999 AS DECIMAL(38,0)) + 1
array(1,2)[2]
map('a',1)['b']
element_at(array(1,2), 3)
element_at(map('a',1), 'b')
elt(5, 'a')
to_timestamp('x', 'yyyy')
to_date('2024-02-30')
make_timestamp(2024, 2, 30, 0, 0, 0)
next_day('2024-01-01', 'zz')
url_decode('%zz')
parse_url('a b', 'HOST')
conv('9999999999999999999999', 10, 16)
1 = 'a'
'a' > 1
true = 'yes'
CASE WHEN true THEN 1 ELSE 'x' END
coalesce(1, 'x')
greatest(1, 'x')
concat(1, array(2))
1 IN ('a', 1)
DATE'2024-01-01' = '2024-1-1'
DATE'2024-01-01' = 'x'
TIMESTAMP'2024-01-01 00:00:00' = '2024'
'1' < 2.5
'10' > '9'
NULL + 1
if(1, 2, 3)
true + 1
CAST(TIMESTAMP'2024-01-01 00:00:00' AS INT)
CAST(1 AS TIMESTAMP)
CAST(true AS TIMESTAMP)
CAST('yes' AS BOOLEAN)
CAST('maybe' AS BOOLEAN)
CAST(2 AS BOOLEAN)
round(127Y, -2)
abs(-128Y)
- (-2147483648)
size(NULL)
sequence(1, 3)
map(1, 'a', 'b', 2)
from_json('{"a":"x"}', 'a INT')
date_add('x', 1)
datediff('2024-01-01', 'x')
hour('x')
substring('abc', '2', 1)
lpad(1, 3, 0)
'2' * '3'
X'41' || 'B'

-- set: zone=America/New_York
CAST('2024-03-10 02:30:00' AS TIMESTAMP)
TIMESTAMP'2024-03-10 01:30:00' + INTERVAL 1 HOUR
TIMESTAMP'2024-03-09 02:30:00' + INTERVAL 1 DAY
TIMESTAMP'2024-11-03 01:30:00' + INTERVAL 1 HOUR
date_trunc('DAY', TIMESTAMP'2024-03-10 12:00:00Z')
DATE'2024-03-11' - DATE'2024-03-10'
TIMESTAMP'2024-03-11 00:00:00' - TIMESTAMP'2024-03-10 00:00:00'
CAST(TIMESTAMP'2024-03-10 05:00:00Z' AS DATE)
hour(TIMESTAMP'2024-07-01 12:00:00Z')
from_json('{"t":"2024-07-01T12:00:00"}', 't TIMESTAMP')
to_json(named_struct('t', TIMESTAMP'2024-07-01 12:00:00Z', 'd', DATE'2024-01-01', 'n', TIMESTAMP_NTZ'2024-01-01 00:00:00'))
sequence(TIMESTAMP'2024-03-09 12:00:00', TIMESTAMP'2024-03-11 12:00:00', INTERVAL 1 DAY)
months_between(TIMESTAMP'2024-03-31 23:00:00', TIMESTAMP'2024-02-29 00:00:00')
date_format(TIMESTAMP'2024-07-01 12:00:00Z', 'z VV XXX')
to_timestamp('2024-07-01 12:00', 'yyyy-MM-dd HH:mm')
unix_timestamp(DATE'2024-07-01')
