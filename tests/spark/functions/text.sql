-- Text, regular expressions, encodings, URLs.
upper({text})
ucase('ß')
lower({text})
lcase('ΑΣ')
initcap({text})
initcap('ab-cd ef_gh')
length({text})
length({binary})
length(12)
char_length({part})
character_length('ab ')
len(X'00')
octet_length({text})
octet_length({binary})
bit_length({text})
bit_length({binary})
concat({text}, {any}) *24
concat({array}, {array}) *20
concat()
concat('a')
concat(X'61', X'62')
concat(X'61', 'b')
concat_ws({part}, {text}, {texts}) *20
concat_ws(',')
concat_ws(',', array())
concat_ws(',', 1, true, NULL)
substring({text}, {place}, {few}) *60
substr({text}, {place})
substring({binary}, {place}, {few})
substring('abc', 2147483647, 2147483647)
substring('abc', -5, 3)
substring(12345, 2, 2)
left({text}, {few}) *24
right({text}, {few}) *24
left(X'616263', 2)
trim({text})
trim('\t a \n')
btrim({text})
btrim({text}, {part}) *24
ltrim({text})
ltrim('ab', 'aabbc')
ltrim({part}, {text})
rtrim({text})
rtrim('bc', 'abcbc')
rtrim({part}, {text})
lpad({text}, {few}, {part}) *30
rpad({text}, {few}, {part}) *30
lpad('a', 5)
rpad('a', 5)
lpad(X'61', 3)
lpad(X'61', 5, X'0102')
rpad(X'6162', 1, X'01')
lpad('abc', 0, 'x')
lpad('日本', 5, '😀')
repeat({text}, {few}) *24
space({few})
reverse({text})
reverse({array})
reverse({binary})
reverse(123)
contains({text}, {part}) *24
contains(X'6162', X'62')
startswith({text}, {part}) *24
endswith({text}, {part}) *24
startswith(X'6162', X'61')
locate({part}, {text}) *24
locate({part}, {text}, {place}) *30
position({part}, {text})
position('a', 'banana', 3)
instr({text}, {part}) *24
charindex('a', 'banana', 3)
replace({text}, {part}, {part}) *30
replace({text}, {part})
translate({text}, {part}, {part}) *24
translate('AaBbCc', 'abc', '12')
translate('abcabc', 'aa', '12')
translate('😀ab', '😀a', 'xy')
overlay({text}, {part}, {few}) *24
overlay({text}, {part}, {place}, {few}) *30
overlay(X'6162', X'63', 1)
substring_index({text}, {part}, {few}) *30
substring_index('www.apache.org', '.', -2)
substring_index('aaaa', 'aa', 1)
substring_index('aaaa', 'aa', -1)
split_part({text}, {part}, {few}) *30
split_part('11.12.13', '.', -1)
split_part('a', '', 1)
elt({few}, 'a', 'b')
elt(1, X'61', X'62')
elt(1)
elt(2, 'a', 1)
find_in_set({part}, 'a,bc,,S,a')
find_in_set('a,b', 'a,b')
find_in_set('', '')
ascii({text})
chr({int})
char(65)
chr(256)
chr(-10)
chr(233)
mask({text})
mask('AbCD123-@$#', 'Q', 'q', 'd', 'o')
mask('AbCD123-@$#', NULL, NULL, NULL, '*')
mask('Ab1-', 'XX')
mask('Ab1-', '')
soundex({text})
soundex('Robert')
soundex('Tymczak')
soundex('Pfister')
soundex('Honeyman')
soundex('1abc')
levenshtein({text}, {part}) *24
levenshtein('kitten', 'sitting', 2)
levenshtein('kitten', 'sitting', 3)
levenshtein('kitten', 'sitting', 4)
levenshtein('kitten', 'sitting', -1)
levenshtein('kitten', 'kitten', 0)
levenshtein('', 'abc', 3)
levenshtein(NULL, 'a')
luhn_check({numeric_text})
luhn_check('8112189876')
luhn_check('79927398713')
luhn_check('')
luhn_check('0')
ascii(X'61')
char_length(NULL)
quote({text})
quote('Don\'t')
quote('a\\b')
jaro_winkler_similarity('MARTHA', 'MARHTA')
jaro_winkler_similarity('kitten', 'sitting')
jaro_winkler_similarity({text}, {part})
sentences('Hi there! Good morning.')
sentences('Hi there! Good morning.', 'en', 'US')
sentences({text})
sentences('One. Two? 3.5 it\'s "x-y" e.g. Mr. Z', 'en')
is_valid_utf8({text})
is_valid_utf8(X'80')
is_valid_utf8(X'C3A4')
validate_utf8({text})
validate_utf8(X'80')
make_valid_utf8(X'61C262')
make_valid_utf8(X'F09F9880')
make_valid_utf8(X'E28D')
try_validate_utf8(X'80')
try_validate_utf8('a')
-- Regular expressions.
regexp_like({text}, {regex}) *40
regexp({text}, 'a|S')
rlike('x\ny', 'x.y')
rlike('x\ny', '(?s)x.y')
rlike('a.b', 'a\\.b')
regexp_count({text}, {regex}) *40
regexp_substr({text}, {regex}) *30
regexp_instr({text}, {regex}) *30
regexp_instr('abab', 'b', 0)
regexp_extract({text}, {regex}) *30
regexp_extract({text}, {regex}, 0) *40
regexp_extract('100-200', '(\\d+)-(\\d+)', {few})
regexp_extract('abc', '(x)?b', 1)
regexp_extract_all({text}, {regex}, 0) *30
regexp_extract_all('100-200, 300-400', '(\\d+)-(\\d+)')
regexp_extract_all('100-200, 300-400', '(\\d+)-(\\d+)', {few})
regexp_replace({text}, {regex}, '<$0>') *40
regexp_replace('a1b22', '([a-z])(\\d+)', '$2$1')
regexp_replace('abc', 'b', '\\$')
regexp_replace('abc', 'b', '$')
regexp_replace('abc', 'b', '$9')
regexp_replace('abcabc', 'b', 'X', 3)
regexp_replace('abcabc', 'b', 'X', 0)
regexp_replace('aaa', 'a*?', '-')
regexp_replace('日本語', '本', '')
regexp_replace('a\\b', '\\\\', '/')
split({text}, {regex}) *40
split('oneAtwoBthreeC', '[ABC]')
split('oneAtwoBthreeC', '[ABC]', -1)
split('oneAtwoBthreeC', '[ABC]', 2)
split('a,b,,', ',', 0)
split('a,b,,', ',')
split('abc', '')
split('', ',')
split('a|b', '|')
split('a|b', '\\|')
'abc' RLIKE '^[a-c]{3}$'
'ABC' RLIKE '(?i)abc'
'foo1' RLIKE '\\d$'
'x' RLIKE '\\Qx\\E'
'aa' RLIKE '(a)\\1'
'ab' RLIKE 'a(?=b)'
'ab' RLIKE '(?<=a)b'
'a b' RLIKE '\\bb'
'é' RLIKE '\\w'
'é' RLIKE '(?U)\\w'
'K' RLIKE '(?i)k'
'a-b' RLIKE '[a\\-b]+'
'a]' RLIKE '[]a]+'
'ab' RLIKE '[a-z&&[^b]]+$'
'aab' RLIKE 'a++b'
'aab' RLIKE '(?>a+)b'
'\t' RLIKE '\\h'
'a1' RLIKE '\\p{Alpha}\\p{Digit}'
'é' RLIKE '\\p{IsAlphabetic}'
'Я' RLIKE '\\p{IsCyrillic}'
'Я' RLIKE '\\p{InCyrillic}'
'a' RLIKE '\\x61'
'a' RLIKE '\\u0061'
'x' RLIKE '{'
'a{' RLIKE 'a{'
'a\r\nb' RLIKE 'a\\Rb'
'a\nb' RLIKE '(?m)^b'
'a\n' RLIKE 'a$'
'a#b' RLIKE '(?x)a # comment'
'z' RLIKE '\\z'
'' RLIKE ''
'a' RLIKE '*'
'a' RLIKE 'a{1,2}{2}'
'a' RLIKE '\\'
-- Templates.
format_string('%d %s', {int}, {text})
format_string('%s', {number})
format_string('%s', {struct})
format_string('%s', {time})
format_string('%5d|%-5d|%05d', 42, 42, 42)
format_string('%+d % d %(d %,d', 5, 5, -5, 1234567)
format_string('%x %X %o %#x', 255, 255, 8, 255)
format_string('%x', {integer})
format_string('%.3f', {double})
format_string('%.2e %E', 12345.678D, 0.00012D)
format_string('%g %G', 12345.678D, 0.00001D)
format_string('%f', 1)
format_string('%f', 1.5)
format_string('%a', 1.0D)
format_string('%c %C', 65, 97)
format_string('%c', 'a')
format_string('%b %B', true, NULL)
format_string('%b', 'x')
format_string('%h', 'abc')
format_string('%%%n')
format_string('%2$s %1$s', 'a', 'b')
format_string('%s %<s', 'a')
format_string('%10.3s|', 'abcdef')
format_string('%-10s|', '日本')
format_string('%S', 'abc')
format_string('%d', 'x')
format_string('%d', 1.5D)
format_string('%s')
format_string('%y', 1)
format_string('%tY', DATE'2024-02-29')
format_string('%,.2f', 1234567.891D)
format_string('%010.2f', -3.14159D)
format_string('%d', CAST(NULL AS INT))
format_string('%d', 12345678901234)
format_string('%s', 1.50)
format_string('%.1f', 0.25)
format_string('%.1f', 0.25D)
format_string('%.0f', 2.5D)
printf('%s-%s', 'a', 1)
-- Encodings.
base64({text})
base64({binary})
unbase64({text})
unbase64('YWJj')
unbase64('YWJ')
unbase64('YW Jj')
unbase64('YQ==')
unbase64('YQ')
unbase64('Y')
unbase64('YWJj!')
base64(repeat('a', 80))
to_binary({text})
to_binary('abc', 'utf-8')
to_binary('616263', 'hex')
to_binary('6162', 'HEX')
to_binary('616', 'hex')
to_binary('zz', 'hex')
to_binary('YWJj', 'base64')
to_binary('YWJ', 'base64')
to_binary('a!', 'base64')
to_binary('abc', 'x')
to_binary('abc', NULL)
try_to_binary('zz', 'hex')
try_to_binary('a!', 'base64')
try_to_binary('abc', 'utf-8')
try_to_binary('abc', 'x')
encode({text}, 'UTF-8')
encode({text}, 'UTF-16')
encode({text}, 'ISO-8859-1')
encode('a', 'UTF-16LE')
encode('a', 'UTF-16BE')
encode('a', 'UTF-32')
encode('a', 'windows-1252')
encode('a', 'nope')
encode(NULL, 'UTF-8')
encode('a', NULL)
to_base32({text})
to_base32({binary})
from_base32('MZXW6YTBOI======')
from_base32('MZXW6YTBOI')
from_base32('mzxw6===')
from_base32('1')
hmac('key', 'message')
hmac('key', 'message', 'SHA-512')
hmac('key', 'message', 'SHA-384')
hmac('key', 'message', 'SHA-1')
hmac('key', 'message', 'MD5')
hmac('key', 'message', 'x')
hmac(NULL, 'message')
aes_decrypt(unhex('83F16B2AA704794132802D248E6BFD4E380078182D1544813898AC97E709B28A94'), '0000111122223333')
aes_decrypt(unhex('6E7CA17BBB468D3084B5744BCA729FB7B2B7BCB8E4472847D02670489D95FA97DBBA7D3210'), '0000111122223333', 'GCM')
aes_decrypt(unbase64('3lmwu+Mw0H3fi5NDvcu9lg=='), '1234567890abcdef', 'ECB', 'PKCS')
aes_decrypt(unbase64('2NYmDCjgXTbbxGA3/SnJEfFC/JQ7olk2VQWReIAAFKo='), '1234567890abcdef', 'CBC')
aes_encrypt('Spark', '0000111122223333', 'GCM', 'DEFAULT', unhex('000000000000000000000000'), 'aad')
aes_encrypt('Spark SQL', '1234567890abcdef', 'ECB', 'PKCS')
aes_encrypt('Spark', 'abcdefghijklmnop12345678ABCDEFGH', 'CBC', 'DEFAULT', unhex('00000000000000000000000000000000'))
aes_encrypt('Spark', 'short')
aes_decrypt(X'00', '0000111122223333')
try_aes_decrypt(X'00', '0000111122223333')
try_aes_decrypt(unhex('6E7CA17BBB468D3084B5744BCA729FB7B2B7BCB8E4472847D02670489D95FA97DBBA7D3210'), '0000222233334444', 'GCM')
-- URLs.
parse_url({url}, {url_part}) *120
parse_url({url}, 'QUERY', 'query')
parse_url({url}, 'QUERY', 'x')
parse_url('http://a?k=1&kk=2', 'QUERY', 'k')
parse_url('http://a?k.k=1', 'QUERY', 'k.k')
parse_url('http://a', 'HOST', 'x')
try_parse_url({url}, {url_part}) *40
try_parse_url({url}, 'QUERY', 'query')
url_encode({text})
url_encode('https://a.b/?x=1&y=é *-._~')
url_decode({text})
url_decode('https%3A%2F%2Fspark.apache.org')
url_decode('a+b%20c')
url_decode('%zz')
url_decode('%E4%B8')
url_decode('%')
try_url_decode('%zz')
try_url_decode('a%20b')
str_to_map({text})
str_to_map('a:1,b:2,c:3', ',', ':')
str_to_map('a=1;b', ';', '=')
str_to_map('a:1,a:2')
str_to_map('a1b2', '\\d')
str_to_map('')
str_to_map(NULL, ',')
xpath_string('<a><b>b</b><c>cc</c></a>', 'a/c')
xpath_int('<a><b>1</b><b>2</b></a>', 'sum(a/b)')
xpath('<a><b>b1</b><b>b2</b></a>', 'a/b/text()')
jaro_winkler_similarity('DIXON', 'DICKSONX')
jaro_winkler_similarity('DWAYNE', 'DUANE')
jaro_winkler_similarity('abcdefgh', 'abcdxxxx')
jaro_winkler_similarity('日本語', '日本')
jaro_winkler_similarity('', '')
quote(1)
quote('a\nb')
from_base32('MZXW6')
from_base32('MZ XW6')
from_base32('M')
hmac('', 'x')
hmac('key', 'message', 'sha-512')
hmac('key', 'message', 'SHA-224')
hmac('key', 'message', NULL)
make_valid_utf8(X'E2828261')
make_valid_utf8(X'C0AF')
make_valid_utf8(X'61F0')
is_valid_utf8(X'EDA080')
