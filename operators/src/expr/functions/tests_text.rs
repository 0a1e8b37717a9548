//! Stories of text: characters, regular expressions, encodings, JSON, formats.

use super::tests::{evaluate, expect};

#[test]
fn text_is_counted_in_characters() {
    expect(&[
        ("length('Zürich 😀')", "8"),
        ("substring('Zürich', 2, 2)", "ür"),
        ("substring('Zürich', -3)", "ich"),
        ("substring('abc', -5, 3)", "a"),
        ("substring('abc', 0, 2)", "ab"),
        ("substring('abc', 5)", ""),
        ("left('äöü', 2)", "äö"),
        ("right('äöü', 2)", "öü"),
        ("right('abc', 0)", ""),
        ("reverse('äö')", "öä"),
        ("lpad('ä', 3, 'öü')", "öüä"),
        ("lpad('abc', 2)", "ab"),
        ("rpad('abc', 5, '')", "abc"),
        ("instr('zürich', 'ich')", "4"),
        ("locate('', 'abc', 5)", "1"),
        ("locate('b', 'abcb', 0)", "0"),
        ("overlay('äöü', 'x', 2, 0)", "äxöü"),
        ("translate('äöü', 'ö', 'o')", "äoü"),
        ("translate('abcabc', 'aab', 'xy')", "xcxc"),
        (
            "translate('abü', concat(repeat('c', 100), 'aab'), concat(repeat('d', 100), 'xy'))",
            "xü",
        ),
        ("levenshtein('äb', 'ab')", "1"),
        ("levenshtein('kitten', 'sitting', 2)", "-1"),
        ("ascii('😀')", "128512"),
        ("chr(256)", "\0"),
        ("chr(-1)", ""),
        ("initcap('ÉCOLE d''été')", "École D'été"),
        ("split_part('a.b.c', '.', -1)", "c"),
        ("split_part('a.b.c', '.', 9)", ""),
        ("substring_index('a.b.c', '.', -2)", "b.c"),
        ("substring_index('aaa', 'aa', 2)", "a"),
        ("soundex('Robert')", "R163"),
        ("soundex('Tymczak')", "T522"),
        ("soundex('123')", "123"),
        ("repeat('a', -1)", ""),
        ("ltrim('xy', 'xyxa')", "a"),
        ("trim(BOTH 'x' FROM 'xax')", "a"),
        ("elt(1, 'a', NULL)", "a"),
        ("contains('abc', '')", "true"),
    ]);
}

#[test]
fn regular_expressions_work_as_in_java() {
    expect(&[
        ("regexp_replace('aab', 'a*', 'X')", "XXbX"),
        ("regexp_replace('abc', 'b', '[$0]')", "a[b]c"),
        (
            "regexp_replace('a1b2', '(?<d>[0-9])', '<${d}>')",
            "a<1>b<2>",
        ),
        ("regexp_replace('banana', 'a', 'o', 3)", "banono"),
        ("regexp_replace('abc', '^', 'x', 2)", "axbc"),
        ("regexp_replace('abc', 'z', 'x')", "abc"),
        ("regexp_extract('abc', 'z(.)')", ""),
        ("regexp_extract('abc', 'b', 0)", "b"),
        (
            "regexp_extract('abc', 'b')",
            "error: regexp_extract: the group must be between 0 and 0",
        ),
        ("regexp_extract_all('abab', 'a', 0)", "[a, a]"),
        ("split('abc', '')", "[a, b, c]"),
        ("split('abc', '', 2)", "[a, bc]"),
        ("split('a,b,,', ',')", "[a, b, , ]"),
        ("split('a,b,c', ',', 2)", "[a, b,c]"),
        ("split('', ',')", "[]"),
        ("split('abc', 'x*')", "[a, b, c, ]"),
        ("split('ab', '(?<=a)')", "[a, b]"),
        ("regexp_count('aaa', '')", "4"),
        ("regexp_substr('abc', 'x')", "NULL"),
        ("regexp_substr('abc', '')", "NULL"),
        (
            "regexp_extract_all('1a 2b 14m', '([0-9]+)?', 1)",
            "[1, , , 2, , , 14, , ]",
        ),
        (
            "regexp_count('passwd7 plain A1234 a1234', '(?=[^ ]*[a-z])(?=[^ ]*[0-9])[^ ]+')",
            "2",
        ),
        (
            "regexp_replace('healthy, wealthy, and wise', '[a-z]', 'something', 26)",
            "healthy, wealthy, and wissomething",
        ),
        (
            "regexp_replace('healthy, wealthy, and wise', '[a-z]', 'something', 27)",
            "healthy, wealthy, and wise",
        ),
        (
            "regexp_like('a', concat('[', 'a'))",
            "error: regexp_like: the regular expression is not valid: Parsing error at position 2: Invalid character class",
        ),
    ]);
}

#[test]
fn urls_and_bytes() {
    let url = "http://userinfo@spark.apache.org/path?query=1#Ref";
    for (part, expected) in [
        ("HOST", "spark.apache.org"),
        ("PATH", "/path"),
        ("QUERY", "query=1"),
        ("REF", "Ref"),
        ("PROTOCOL", "http"),
        ("FILE", "/path?query=1"),
        ("AUTHORITY", "userinfo@spark.apache.org"),
        ("USERINFO", "userinfo"),
        ("host", "NULL"),
    ] {
        assert_eq!(evaluate(&format!("parse_url('{url}', '{part}')")), expected);
    }
    expect(&[
        (
            "parse_url('no url', 'HOST')",
            "error: the text is not a URL",
        ),
        ("parse_url('mailto:a@b.c', 'PATH')", "NULL"),
        ("parse_url('http://h?a=1&b=2', 'QUERY', 'b')", "2"),
        ("parse_url('http://my_host/x', 'HOST')", "NULL"),
        ("url_decode('%zz')", "error: the text is not URL-encoded"),
        ("url_encode('a b&é')", "a+b%26%C3%A9"),
        ("hex(-1)", "FFFFFFFFFFFFFFFF"),
        ("hex(0)", "0"),
        ("hex(unhex('ABC'))", "0ABC"),
        ("unhex('GG')", "NULL"),
        ("hex(to_binary('abc', 'base64'))", "69B7"),
        ("to_binary('abc', NULL)", "NULL"),
        (
            "to_binary('a!', 'base64')",
            "error: the text is not of the format",
        ),
        ("decode(encode('äß', 'ISO-8859-1'), 'ISO-8859-1')", "äß"),
        (
            "encode('ä', 'US-ASCII')",
            "error: the text has characters that the charset has not",
        ),
        (
            "decode(unhex('FF'), 'UTF-8')",
            "error: the bytes are no text of the charset",
        ),
        ("hex(lpad(unhex('aa'), 6, unhex('1f2e')))", "1F2E1F2E1FAA"),
        ("hex(rpad(unhex('aabb'), 5))", "AABB000000"),
        ("hex(substring(unhex('aabbcc'), 2, 1))", "BB"),
        ("conv('-10', 16, -10)", "-16"),
        ("conv('9223372036854775808', 10, 16)", "8000000000000000"),
        ("conv('11abc', 10, 16)", "B"),
        ("conv('', 10, 16)", "NULL"),
        (
            "bin(-1)",
            "1111111111111111111111111111111111111111111111111111111111111111",
        ),
        ("bit_count(-1)", "64"),
        ("shiftleft(1, 33)", "2"),
        ("shiftright(-8, 1)", "-4"),
        ("factorial(21)", "NULL"),
        ("decode(3, 1, 'a', 3, 'b')", "b"),
        ("decode(NULL, NULL, 'null', 'else')", "null"),
        ("decode(1, 1, 'a', 1 / 0, 'b')", "a"),
    ]);
}
#[test]
fn json_texts() {
    expect(&[
        ("from_json('{\"a\": 1}', 'a INT, b STRING')", "{1, null}"),
        (
            "from_json('{\"a\": {\"b\": [1, 2]}}', 'a STRUCT<b: ARRAY<INT>>').a.b[1]",
            "2",
        ),
        ("from_json('[1, 2]', 'ARRAY<INT>')", "[1, 2]"),
        ("from_json('{\"x\": 1}', 'MAP<STRING, INT>')", "{x -> 1}"),
        (
            "from_json('[{\"a\": 1}]', schema_of_json('[{\"a\": 1}]'))",
            "[{1}]",
        ),
        ("from_json('nothing', 'a INT')", "{null}"),
        ("from_json(NULL, 'a INT')", "NULL"),
        // As deep as Spark reads.
        (
            "from_json(concat('{\"a\":1, \"b\":', repeat('[', 999), repeat(']', 999), '}'), 'a INT, b STRING').a",
            "1",
        ),
        (
            "from_json(concat('{\"a\":1, \"b\":', repeat('[', 1000), repeat(']', 1000), '}'), 'a INT').a",
            "NULL",
        ),
        (
            "length(from_json(concat('{\"b\":', repeat('{\"c\":', 998), '1', repeat('}', 998), '}'), 'b STRING').b)",
            "5989",
        ),
        (
            "length(get_json_object(concat('{\"b\":', repeat('[', 999), repeat(']', 999), '}'), '$.b'))",
            "1998",
        ),
        ("from_json('{}', 'a WORD')", "error: unknown type WORD"),
        (
            "from_json('{}', '{\"type\":\"struct\",\"fields\":\"x\"}')",
            "error: from_json: the `fields` of a struct in the schema are a list: {\"fields\":\"x\",\"type\":\"struct\"}",
        ),
        (
            "from_json('{}', '{\"type\":\"list\"}')",
            "error: from_json: the `type` of an object in the schema is struct, array or map: {\"type\":\"list\"}",
        ),
        (
            "from_json('{}', '{\"type\":\"struct\",\"fields\":[{\"name\":\"a\"}]}')",
            "error: from_json: a field of the schema needs `name` and `type`: {\"name\":\"a\"}",
        ),
        ("from_json('{}', '')", "error: from_json: `` is no type"),
        ("to_json(map('a', 1))", "{\"a\":1}"),
        (
            "to_json(array(named_struct('a', 'x'), NULL))",
            "[{\"a\":\"x\"},null]",
        ),
        (
            "to_json(named_struct('t', TIMESTAMP'2024-01-01 00:00:00', 'n', NULL))",
            "{\"t\":\"2024-01-01T00:00:00.000Z\"}",
        ),
        (
            "to_json(1)",
            "error: to_json: expected a STRUCT, a MAP or an ARRAY, got INT",
        ),
        ("json_array_length('{}')", "NULL"),
        ("json_object_keys('[]')", "NULL"),
        ("get_json_object('{\"a\": 1}', concat('$', '.a'))", "1"),
        ("get_json_object(NULL, '$.a')", "NULL"),
        (
            "schema_of_json('{\"b\": [1, 2.5], \"a\": null}')",
            "STRUCT<a: STRING, b: ARRAY<DOUBLE>>",
        ),
    ]);
}

#[test]
fn numbers_are_formatted_as_java_formats_them() {
    expect(&[
        ("format_number(1234567, 0)", "1,234,567"),
        ("format_number(-0.4D, 0)", "-0"),
        ("format_number(2.5D, 0)", "2"),
        ("format_number(0.125D, 2)", "0.12"),
        (
            "format_number(12332.123456, '##################.###')",
            "12332.123",
        ),
        ("format_number(0.5, '#,##0.00')", "0.50"),
        ("format_number(1234.5, '$#,##0.0#')", "$1,234.5"),
        ("format_number(5, -1)", "NULL"),
        (
            "format_string('Hello World %d %s', 100, 'days')",
            "Hello World 100 days",
        ),
        (
            "format_string('%5s|%-5s|%.2s', 'ab', 'ab', 'abc')",
            "   ab|ab   |ab",
        ),
        ("format_string('%2$s %1$s', 'a', 'b')", "b a"),
        ("format_string('%x %X %o', 255, -1, 8)", "ff FFFFFFFF 10"),
        (
            "format_string('%+d %,d %(d', 5, 1234567, -5)",
            "+5 1,234,567 (5)",
        ),
        ("format_string('%08.3f', -3.14159D)", "-003.142"),
        ("format_string('%f', 1e10)", "10000000000.000000"),
        ("format_string('%.3e', 12345.678D)", "1.235e+04"),
        ("format_string('%.1f%%', 99.95D)", "100.0%"),
        ("format_string('%c%b', 65, true)", "Atrue"),
        (
            "format_string('%d', 1.5D)",
            "error: format_string: %d does not take a DOUBLE",
        ),
        (
            "format_string('%d')",
            "error: format_string: it needs an argument 1",
        ),
    ]);
}
