//! Every example of the manual is run, and what the examples do not show is told here.

use std::sync::Arc;
use std::time::Instant;

use chrono_tz::Tz;
use sqlparser::dialect::{Dialect, SparkSqlDialect};
use sqlparser::parser::Parser;
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::Value;

use crate::expr::check::check;
use crate::expr::functions::{all, families};
use crate::expr::prefix::parse_prefix;
use crate::expr::scope::Scope;
use crate::expr::text;

/// Spark's dialect with the forms that the parser lacks.
#[derive(Debug)]
struct Spark(SparkSqlDialect);

impl Dialect for Spark {
    fn is_identifier_start(&self, c: char) -> bool {
        self.0.is_identifier_start(c)
    }
    fn is_identifier_part(&self, c: char) -> bool {
        self.0.is_identifier_part(c)
    }
    fn dialect(&self) -> std::any::TypeId {
        self.0.dialect()
    }
    fn is_delimited_identifier_start(&self, c: char) -> bool {
        self.0.is_delimited_identifier_start(c)
    }
    fn supports_lambda_functions(&self) -> bool {
        true
    }
    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }
    fn parse_prefix(
        &self,
        parser: &mut Parser<'_>,
    ) -> Option<Result<sqlparser::ast::Expr, sqlparser::parser::ParserError>> {
        parse_prefix(parser)
    }
}

/// The value of an expression as Spark prints it; an error begins with `error: `.
fn evaluate_with(sql: &str, ansi: bool, zone: Tz) -> String {
    let dialect = Spark(SparkSqlDialect {});
    let parsed = Parser::new(&dialect)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_expr());
    let ast = match parsed {
        Ok(ast) => ast,
        Err(error) => return format!("error: parser: {error}"),
    };
    let scope = Scope {
        ansi,
        time_zone: zone,
        ..Scope::default()
    };
    let typed = match check(&ast, &scope) {
        Ok(typed) => typed,
        Err(error) => return format!("error: {error}"),
    };
    let meta = RecordMeta {
        partition: Arc::new(Partition {
            input: "t".into(),
            name: "t/0".into(),
        }),
        position: Position::Number(0),
        record_time: None,
        event_time: None,
        taken_at: 1_700_000_000_123_456,
        taken: Instant::now(),
    };
    match typed.compile().eval(&[], &meta) {
        Ok(Value::Null) => "NULL".to_owned(),
        Ok(value) => {
            let mut out = String::new();
            text::append(&mut out, &value, &typed.data_type, zone);
            out
        }
        Err(error) => format!("error: {}", error.reason.trim_end_matches(" (at 1:1)")),
    }
}

fn evaluate(sql: &str) -> String {
    evaluate_with(sql, true, Tz::UTC)
}

/// Without `ansi`.
fn legacy(sql: &str) -> String {
    evaluate_with(sql, false, Tz::UTC)
}

/// Runs a table of expressions and shows all that differ.
#[track_caller]
fn expect(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(sql, expected)| (sql, expected, evaluate(sql)))
        .filter(|(_, expected, got)| *expected != got)
        .map(|(sql, expected, got)| format!("{sql}\n  expected {expected}\n  got      {got}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_example_gives_its_result() {
    let examples: Vec<(&str, &str)> = all()
        .filter(|function| !function.result.is_empty())
        .map(|function| (function.example, function.result))
        .collect();
    expect(&examples);
    for function in all().filter(|function| function.result.is_empty()) {
        let got = evaluate(function.example);
        assert!(!got.starts_with("error"), "{}: {got}", function.example);
    }
}

#[test]
fn no_name_is_given_twice_and_the_manual_is_complete() {
    let mut names: Vec<&str> = all()
        .flat_map(|function| std::iter::once(function.name).chain(function.aliases.iter().copied()))
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for (family, functions) in families() {
        assert!(!functions.is_empty(), "{family}");
        for function in functions {
            assert!(
                function.signature.contains(function.name),
                "{}",
                function.name
            );
            assert!(function.about.ends_with(['.', ')']), "{}", function.name);
            assert!(function.example.contains('('), "{}", function.name);
        }
    }
}

#[test]
fn a_null_argument_gives_null() {
    expect(&[
        ("upper(NULL)", "NULL"),
        ("concat('a', NULL)", "NULL"),
        ("concat_ws(NULL, 'a')", "NULL"),
        ("concat_ws(',', NULL, 'a')", "a"),
        ("locate('a', 'abc', NULL)", "0"),
        ("locate(NULL, 'abc')", "NULL"),
        ("greatest(NULL, 2, 1)", "2"),
        ("nvl2(1, NULL, 2)", "NULL"),
        ("hash(NULL)", "42"),
        ("md5(NULL)", "NULL"),
        ("mask(NULL)", "NULL"),
        ("mask('aB', NULL, 'y')", "yB"),
        ("format_string(NULL, 1)", "NULL"),
        ("format_string('%s %d', NULL, 1)", "null 1"),
    ]);
}

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
fn numbers_out_of_range_are_errors_with_ansi_and_not_without() {
    expect(&[
        ("abs(-128Y)", "error: the result is out of the type's range"),
        (
            "elt(3, 'a', 'b')",
            "error: elt: there are 2 texts, and none has the number asked for",
        ),
        (
            "round(127Y, -1)",
            "error: the rounded number is out of the type's range",
        ),
        (
            "split_part('a', '.', 0)",
            "error: split_part: the parts are counted from 1, not 0",
        ),
        (
            "conv('FFFFFFFFFFFFFFFFF', 16, 10)",
            "error: conv: the number has more than 64 bits",
        ),
        ("raise_error('no')", "error: no"),
        ("assert_true(false)", "error: 'false' is not true!"),
        ("assert_true(NULL, 'x is missing')", "error: x is missing"),
    ]);
    assert_eq!(legacy("abs(-128Y)"), "-128");
    assert_eq!(legacy("elt(3, 'a', 'b')"), "NULL");
    assert_eq!(legacy("round(127Y, -1)"), "-126");
    assert_eq!(
        legacy("conv('FFFFFFFFFFFFFFFFF', 16, 10)"),
        "18446744073709551615"
    );
}

#[test]
fn rounding_has_sparks_types() {
    expect(&[
        ("typeof(round(2.5, 0))", "decimal(2,0)"),
        ("typeof(round(12.345, 1))", "decimal(4,1)"),
        ("round(12.345, 1)", "12.3"),
        ("round(12.345, 5)", "12.345"),
        ("round(125, -1)", "130"),
        ("bround(125, -1)", "120"),
        ("typeof(round(125, -1))", "int"),
        ("round(1234.5, -2)", "1200"),
        ("typeof(round(1234.5, -2))", "decimal(5,0)"),
        ("round(1.005D, 2)", "1.01"),
        ("bround(0.125D, 2)", "0.12"),
        ("typeof(ceil(1.5))", "decimal(2,0)"),
        ("ceil(9.9)", "10"),
        ("ceil(3.1411, 3)", "3.142"),
        ("ceil(3.1411, -3)", "1000"),
        ("floor(3.1411, 3)", "3.141"),
        ("floor(3.1411, -3)", "0"),
        ("floor(-2.5D)", "-3"),
        ("typeof(floor(-2.5D))", "bigint"),
        ("typeof(ceil(3))", "bigint"),
        ("round(NULL, 1)", "NULL"),
        ("abs(-1.5)", "1.5"),
        ("abs(-0.0D)", "0.0"),
        ("negative(1.5D)", "-1.5"),
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
        (
            "regexp_like('a', concat('[', 'a'))",
            "error: regexp_like: the regular expression is not valid: Parsing error at position 2: Invalid character class",
        ),
    ]);
}

#[test]
fn hashes_are_sparks() {
    expect(&[
        ("hash(1)", "-559580957"),
        ("hash(1L)", "-1712319331"),
        ("hash(true)", "-559580957"),
        ("hash('')", "142593372"),
        ("hash('a', NULL, 'b') = hash('a', 'b')", "true"),
        ("hash(CAST(1.5 AS DECIMAL(18, 2))) = hash(150L)", "true"),
        (
            "hash(CAST(1.5 AS DECIMAL(30, 2))) = hash(unhex('0096'))",
            "true",
        ),
        (
            "hash(CAST(-1 AS DECIMAL(30, 0))) = hash(unhex('FF'))",
            "true",
        ),
        ("hash(-0.0D) = hash(0.0D)", "true"),
        ("xxhash64(NULL)", "42"),
        (
            "sha2('Spark', 224)",
            "dbeab94971678d36af2195851c0f7485775a2a7c60073d62fc04549c",
        ),
        ("sha2('Spark', 1)", "NULL"),
    ]);
}

#[test]
fn arrays_and_nulls() {
    expect(&[
        ("array()", "[]"),
        ("size(NULL)", "NULL"),
        ("array_contains(array(1, NULL), 2)", "NULL"),
        ("array_contains(array(1, NULL), 1)", "true"),
        ("array_contains(array(1.5D), 1)", "false"),
        ("array_position(array(1, NULL), 2)", "0"),
        ("element_at(array(1, 2), -1)", "2"),
        (
            "element_at(array(1, 2), 0)",
            "error: the elements are counted from 1, not 0",
        ),
        (
            "element_at(array(1, 2), 3)",
            "error: the array has no element at the place; try_element_at gives NULL",
        ),
        ("element_at(map('a', 1), 'b')", "NULL"),
        ("get(array(1), -1)", "NULL"),
        ("slice(array(1, 2, 3), -2, 5)", "[2, 3]"),
        ("slice(array(1, 2, 3), -5, 2)", "[]"),
        ("array_join(array(1, NULL, 3), '-')", "1-3"),
        ("array_append(array(1), NULL)", "[1, null]"),
        ("typeof(array_append(array(1), 2.5D))", "array<double>"),
        ("array_insert(array(5, 3, 2, 1), -4, 4)", "[5, 4, 3, 2, 1]"),
        ("array_insert(array(1), 3, 9)", "[1, null, 9]"),
        ("array_insert(array(1), -3, 9)", "[9, null, 1]"),
        ("flatten(array(array(1), NULL))", "NULL"),
        ("sort_array(array(2, NULL, 1), false)", "[2, 1, null]"),
        ("array_sort(array(5, 6, 1), (a, b) -> b - a)", "[6, 5, 1]"),
        ("array_max(array(double('NaN'), 1D))", "NaN"),
        ("array_distinct(array(0.0D, -0.0D))", "[0.0]"),
        ("arrays_overlap(array(1, NULL), array(2))", "NULL"),
        ("array_except(array(1, NULL), array(NULL))", "[1]"),
        ("size(array_distinct(sequence(1, 1000)))", "1000"),
        (
            "size(array_union(sequence(1, 100), sequence(51, 150)))",
            "150",
        ),
        ("sequence(1, 10, 4)", "[1, 5, 9]"),
        (
            "sequence(1, 2, 0)",
            "error: sequence: the step must lead from the first to the last",
        ),
        (
            "sequence(1, 2000000)",
            "error: the array would have more than 1048576 elements",
        ),
        (
            "sequence(DATE'2018-01-31', DATE'2018-03-31', INTERVAL 1 MONTH)",
            "[2018-01-31, 2018-02-28, 2018-03-31]",
        ),
        (
            "sequence(DATE'2018-01-02', DATE'2018-01-01')",
            "[2018-01-02, 2018-01-01]",
        ),
        ("exists(array(1, NULL), x -> x > 1)", "NULL"),
        ("forall(array(1, NULL), x -> x > 0)", "NULL"),
        ("aggregate(array(1, 2), 10, (a, x) -> a + x)", "13"),
        (
            "aggregate(array(1.5D), 0, (a, x) -> a + x)",
            "error: aggregate: the start is INT, but the lambda gives DOUBLE",
        ),
        ("transform(array(1, NULL), x -> coalesce(x, 0))", "[1, 0]"),
        (
            "arrays_zip(array(1), array('a', 'b'))",
            "[{1, a}, {null, b}]",
        ),
        ("concat(array(1), array(2.5D))", "[1.0, 2.5]"),
        ("reverse(array(1, 2))", "[2, 1]"),
    ]);
    assert_eq!(legacy("size(NULL)"), "-1");
    assert_eq!(legacy("element_at(array(1), 2)"), "NULL");
}

#[test]
fn a_map_has_each_key_once() {
    expect(&[
        (
            "map('a', 1, 'a', 2)",
            "error: a map must not have one key twice",
        ),
        ("map(NULL, 1)", "error: a key of a map must not be NULL"),
        (
            "map_concat(map(1, 'a'), map(1, 'b'))",
            "error: a map must not have one key twice",
        ),
        (
            "map_from_arrays(array(1), array(1, 2))",
            "error: map_from_arrays: the arrays differ in length",
        ),
        ("map_contains_key(map(1, 2), 3)", "false"),
        ("str_to_map('a=1&b=2', '&', '=')", "{a -> 1, b -> 2}"),
        ("str_to_map('')", "{ -> null}"),
        (
            "transform_keys(map(1, 2, 3, 4), (k, v) -> 1)",
            "error: a map must not have one key twice",
        ),
        (
            "map_zip_with(map(1, 1), map(2, 2), (k, a, b) -> coalesce(a, b, 0))",
            "{1 -> 1, 2 -> 2}",
        ),
        ("typeof(struct(1, 'a'))", "struct<col1:int,col2:string>"),
        ("typeof(map(1, array('a')))", "map<int,array<string>>"),
    ]);
}

#[test]
fn parts_of_dates_and_times() {
    expect(&[
        ("year(DATE'-0044-03-15')", "-44"),
        ("dayofweek(DATE'2024-03-10')", "1"),
        ("dayofweek(DATE'1960-01-02')", "7"),
        ("weekday(DATE'2024-03-10')", "6"),
        ("weekofyear(DATE'2021-01-03')", "53"),
        ("weekofyear(DATE'2024-12-30')", "1"),
        ("date_part('yearofweek', DATE'2021-01-03')", "2020"),
        (
            "extract(SECOND FROM TIMESTAMP'2019-08-12 01:00:00.123456')",
            "0.123456",
        ),
        (
            "typeof(extract(SECOND FROM TIMESTAMP'2019-08-12 01:00:00'))",
            "decimal(8,6)",
        ),
        ("date_part('doy', DATE'2019-08-12')", "224"),
        (
            "date_part('hours', INTERVAL '5 12:30:01' DAY TO SECOND)",
            "12",
        ),
        ("date_part('month', INTERVAL '2-1' YEAR TO MONTH)", "1"),
        (
            "date_part('century', DATE'2019-08-12')",
            "error: extract: `century` is no field of a date or time",
        ),
        ("unix_seconds(TIMESTAMP'1969-12-31 23:59:59.5Z')", "-1"),
        ("timestamp_seconds(1.5D)", "1970-01-01 00:00:01.5"),
        (
            "timestamp_millis(9223372036854775807)",
            "error: the time is out of range",
        ),
        (
            "timestamp_seconds(0.1234567)",
            "error: the seconds have more than 6 digits after the point, or are out of range",
        ),
        ("current_timestamp()", "2023-11-14 22:13:20.123456"),
        ("current_date()", "2023-11-14"),
        ("unix_timestamp()", "1700000000"),
        ("hour(NULL)", "NULL"),
    ]);
    let berlin = |sql| evaluate_with(sql, true, Tz::Europe__Berlin);
    assert_eq!(berlin("hour(TIMESTAMP'2024-07-01 12:00:00Z')"), "14");
    assert_eq!(berlin("current_date()"), "2023-11-14");
    assert_eq!(berlin("localtimestamp()"), "2023-11-14 23:13:20.123456");
}

#[test]
fn dates_and_times_from_text_and_to_text() {
    expect(&[
        ("to_date('2009-07-30 04:17:52')", "2009-07-30"),
        (
            "to_date('2016-02-30', 'yyyy-MM-dd')",
            "error: the text does not fit the pattern; the function with try_ before its name gives NULL",
        ),
        (
            "to_timestamp('2016-12-31T10:00:00+02:00', \"yyyy-MM-dd'T'HH:mm:ssXXX\")",
            "2016-12-31 08:00:00",
        ),
        (
            "to_timestamp('2016-12-31 10:00:00.1234', 'yyyy-MM-dd HH:mm:ss.SSSSSS')",
            "2016-12-31 10:00:00.1234",
        ),
        ("to_timestamp(DATE'2016-12-31')", "2016-12-31 00:00:00"),
        ("to_timestamp(NULL, 'yyyy')", "NULL"),
        (
            "to_date('x', 'YYYY')",
            "error: to_date: the pattern 'YYYY' is not valid: `YYYY` has no meaning in a pattern",
        ),
        (
            "to_timestamp_ntz('2016-04-08', 'yyyy-MM-dd')",
            "2016-04-08 00:00:00",
        ),
        ("try_to_timestamp('2016-13-01')", "NULL"),
        (
            "date_format(TIMESTAMP'2024-03-05 14:07:09.5', 'yyyy/MM/dd hh:mm:ss.SSS a')",
            "2024/03/05 02:07:09.500 PM",
        ),
        ("date_format(DATE'2024-03-05', 'D')", "65"),
        ("from_unixtime(1700000000)", "2023-11-14 22:13:20"),
        ("unix_timestamp(DATE'1970-01-02')", "86400"),
        ("to_unix_timestamp('1970-01-01 00:01:00')", "60"),
    ]);
    let berlin = |sql| evaluate_with(sql, true, Tz::Europe__Berlin);
    assert_eq!(berlin("from_unixtime(0)"), "1970-01-01 01:00:00");
    assert_eq!(berlin("unix_timestamp('1970-01-01 01:00:00')"), "0");
    assert_eq!(
        berlin("date_format(TIMESTAMP'2024-07-01 12:00:00Z', 'HH:mm z XXX VV')"),
        "14:00 CEST +02:00 Europe/Berlin"
    );
    assert_eq!(
        berlin("to_date('2024-07-01 23:30Z', 'yyyy-MM-dd HH:mmX')"),
        "2024-07-02"
    );
    assert_eq!(legacy("to_date('2016-02-30', 'yyyy-MM-dd')"), "NULL");
}

#[test]
fn calculating_with_dates_and_times() {
    expect(&[
        ("date_add('2016-07-30', -1)", "2016-07-29"),
        (
            "dateadd(MONTH, 1, TIMESTAMP'2024-01-31 10:00:00')",
            "2024-02-29 10:00:00",
        ),
        (
            "date_add(DATE'2024-01-01', 2147483647)",
            "error: the date, time or interval is out of range",
        ),
        (
            "datediff(HOUR, TIMESTAMP'2024-01-01 00:30:00', TIMESTAMP'2024-01-01 02:00:00')",
            "1",
        ),
        (
            "timestampdiff(MONTH, DATE'2024-03-31', DATE'2024-02-29')",
            "-1",
        ),
        (
            "timestampdiff(YEAR, DATE'2000-02-29', DATE'2001-02-28')",
            "0",
        ),
        (
            "timestampadd(FORTNIGHT, 1, current_timestamp())",
            "error: timestampadd: `FORTNIGHT` is no unit of time",
        ),
        ("add_months('2016-02-29', 12)", "2017-02-28"),
        ("months_between('2024-02-29', '2024-01-31')", "1.0"),
        (
            "months_between('1997-02-28 10:30:00', '1996-10-30', false)",
            "3.9495967741935485",
        ),
        ("next_day('2015-01-14', 'Wednesday')", "2015-01-21"),
        (
            "next_day('2015-01-14', 'xx')",
            "error: the text is no weekday",
        ),
        ("trunc('2019-08-04', 'quarter')", "2019-07-01"),
        ("trunc('2019-08-04', 'hour')", "NULL"),
        (
            "date_trunc('week', '2015-03-05 09:32:05')",
            "2015-03-02 00:00:00",
        ),
        (
            "date_trunc('MILLISECOND', TIMESTAMP'2015-03-05 09:32:05.123456')",
            "2015-03-05 09:32:05.123",
        ),
        ("date_trunc('x', '2015-03-05')", "NULL"),
        ("make_date(2019, 2, 29)", "error: there is no such date"),
        (
            "make_timestamp(2019, 6, 30, 23, 59, 60)",
            "2019-07-01 00:00:00",
        ),
        (
            "make_timestamp(2019, 6, 30, 23, 59, 60.5)",
            "error: there is no such time",
        ),
        (
            "make_timestamp(2014, 12, 28, 6, 30, 45.887, 'CET')",
            "2014-12-28 05:30:45.887",
        ),
        (
            "make_dt_interval(100, 11)",
            "INTERVAL '100 11:00:00' DAY TO SECOND",
        ),
        (
            "from_utc_timestamp('2016-08-31', 'Nowhere')",
            "error: from_utc_timestamp: `Nowhere` is no time zone, such as Europe/Berlin or +01:00",
        ),
        (
            "from_utc_timestamp('2016-08-31', '+09:00')",
            "2016-08-31 09:00:00",
        ),
    ]);
    let berlin = |sql| evaluate_with(sql, true, Tz::Europe__Berlin);
    assert_eq!(
        berlin("timestampadd(DAY, 1, TIMESTAMP'2024-03-30 12:00:00')"),
        "2024-03-31 12:00:00"
    );
    assert_eq!(
        berlin("timestampadd(HOUR, 24, TIMESTAMP'2024-03-30 12:00:00')"),
        "2024-03-31 13:00:00"
    );
    assert_eq!(
        berlin("date_trunc('DAY', TIMESTAMP'2024-03-31 12:00:00')"),
        "2024-03-31 00:00:00"
    );
    assert_eq!(legacy("make_date(2019, 2, 29)"), "NULL");
    assert_eq!(legacy("next_day('2015-01-14', 'xx')"), "NULL");
}

#[test]
fn remainders_and_the_try_family() {
    expect(&[
        ("mod(-7, 3)", "-1"),
        ("pmod(-7, 3)", "2"),
        ("pmod(-7.5, 2)", "0.5"),
        ("pmod(-7.5D, 2)", "0.5"),
        ("pmod(7, -3)", "1"),
        ("pmod(1, 0)", "error: division by zero; try_mod gives NULL"),
        ("typeof(pmod(-7Y, 3Y))", "tinyint"),
        ("try_add(DATE'2021-01-01', 1)", "2021-01-02"),
        ("try_divide(3, 2)", "1.5"),
        ("try_multiply(9223372036854775807, 2)", "NULL"),
    ]);
    assert_eq!(legacy("pmod(1, 0)"), "NULL");
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
        ("from_json('{}', 'a WORD')", "error: unknown type WORD"),
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
