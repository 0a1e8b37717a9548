//! What happens to records as they come: well-formed, ill-typed, broken, hostile.

use proptest::prelude::*;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};

use super::scan::Scanner;
use super::{JsonOptions, JsonParser, decoder, unsupported};
use crate::codecs::{Decoded, Mode};

pub(super) fn column(name: &str, data_type: DataType) -> Field {
    Field::nullable(name, data_type)
}

pub(super) fn structure(fields: Vec<Field>) -> DataType {
    DataType::Struct(fields.into())
}

pub(super) fn array(element: DataType) -> DataType {
    DataType::Array(element.into())
}

pub(super) fn map(value: DataType) -> DataType {
    DataType::Map((DataType::String, value).into())
}

pub(super) const MONEY: DataType = DataType::Decimal {
    precision: 10,
    scale: 2,
};

pub(super) fn decode(
    columns: &[Field],
    mode: Mode,
    text: &[u8],
) -> Result<Option<Row>, RecordError> {
    let wanted: Vec<usize> = (0..columns.len()).collect();
    let mut row = Row::new();
    decoder(columns, &wanted, mode, &JsonOptions::default())
        .decode(text, &mut row)
        .map(|decoded| (decoded == Decoded::Row).then_some(row))
}

/// One column `v` of this type from this JSON value.
fn one(data_type: DataType, value: &str) -> Result<Value, String> {
    let text = format!("{{\"v\":{value}}}");
    match decode(&[column("v", data_type)], Mode::FailFast, text.as_bytes()) {
        Ok(row) => Ok(row.unwrap().remove(0)),
        Err(error) => Err(error.reason.into()),
    }
}

fn fits(data_type: DataType, value: &str) -> bool {
    one(data_type, value).is_ok()
}

#[test]
fn only_the_wanted_columns_are_decoded_in_their_order() {
    let columns = [
        column("BillNo", DataType::String),
        column("CreatedTime", DataType::BigInt),
        column("TotalValue", DataType::Double),
    ];
    let mut decoder = decoder(&columns, &[2, 0], Mode::FailFast, &JsonOptions::default());
    let mut row = Row::new();
    for _ in 0..3 {
        row.clear();
        decoder
            .decode(
                br#" {"BillNo":"B1","CreatedTime":"unused, so of any type","Items":[{"a":[1,{}]}],"TotalValue":12.5} "#,
                &mut row,
            )
            .unwrap();
        assert_eq!(row, [Value::Double(12.5), Value::from("B1")]);
    }
}

#[test]
fn fields_are_found_in_whatever_order_they_come() {
    let columns = [column("a", DataType::Int), column("b", DataType::Int)];
    let mut decoder = decoder(&columns, &[0, 1], Mode::FailFast, &JsonOptions::default());
    let mut row = Row::new();
    // More names than the decoder remembers, so it forgets and learns again.
    for n in 0..400 {
        let text = match n % 6 {
            0 => format!(r#"{{"a":1,"x{n}":0,"b":2}}"#),
            1 => format!(r#"{{"b":2,"y{n}":[],"a":1}}"#),
            2 => r#"{"\u0061":1,'b':2}"#.to_owned(),
            3 => "{ \"a\" : 1 ,\t\"b\": 2\n}".to_owned(),
            4 => "{\r\n  \"a\": 1,\r\n  \"b\"  :2}".to_owned(),
            _ => r#"{"b":0,"a":0,"ab":7,"a":1,"b":2}"#.to_owned(),
        };
        row.clear();
        decoder.decode(text.as_bytes(), &mut row).unwrap();
        assert_eq!(row, [Value::Int(1), Value::Int(2)], "{text}");
    }
}

#[test]
fn names_match_exactly_and_the_last_of_two_wins() {
    let columns = [column("total", DataType::Int)];
    let row = decode(&columns, Mode::FailFast, br#"{"Total":1}"#).unwrap();
    assert_eq!(row, Some(vec![Value::Null]));
    let row = decode(&columns, Mode::FailFast, br#"{"total":1,"total":2}"#).unwrap();
    assert_eq!(row, Some(vec![Value::Int(2)]));
}

#[test]
fn an_absent_column_is_null_unless_it_is_declared_not_null() {
    let columns = [
        column("a", DataType::Int),
        Field::required("b", DataType::Int),
    ];
    let row = decode(&columns, Mode::FailFast, br#"{"b":1}"#).unwrap();
    assert_eq!(row, Some(vec![Value::Null, Value::Int(1)]));
    for text in ["{\"a\":1}", "{\"b\":null}"] {
        for mode in [Mode::FailFast, Mode::Permissive] {
            let error = decode(&columns, mode, text.as_bytes()).unwrap_err();
            assert_eq!(&*error.reason, "column `b` is NOT NULL, but absent or null");
        }
        assert_eq!(
            decode(&columns, Mode::DropMalformed, text.as_bytes()),
            Ok(None)
        );
    }
}

#[test]
fn a_field_that_does_not_fit_goes_the_way_of_the_mode() {
    let columns = [column("n", DataType::BigInt), column("s", DataType::String)];
    let text = br#"{"n":[1,{"deep":"x"}],"s":"kept"}"#;
    let error = decode(&columns, Mode::FailFast, text).unwrap_err();
    assert_eq!(
        &*error.reason,
        "column `n` is BIGINT, an array at byte 5 does not fit"
    );
    assert_eq!(error.content.as_deref(), Some(r#"[1,{"deep":"x"}]"#));
    assert_eq!(
        decode(&columns, Mode::Permissive, text),
        Ok(Some(vec![Value::Null, Value::from("kept")]))
    );
    assert_eq!(decode(&columns, Mode::DropMalformed, text), Ok(None));
}

#[test]
fn what_is_no_json_is_null_in_every_column_or_an_error() {
    let columns = [column("a", DataType::Int), column("b", DataType::Int)];
    for text in [
        "",
        " ",
        "{",
        "}",
        "[]",
        "1",
        "null",
        "\"a\"",
        "{\"a\":1",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":1}x",
        "{\"a\":1} {}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":-}",
        "{\"a\":tru}",
        "{\"a\":1,,\"b\":2}",
        "{\"x\":\"\\q\"}",
        "{\"x\":\"\\u12g4\"}",
        "{\"x\":\"tab\there\"}",
        "{\"x\":[1,]}",
        "{\"x\":[1 2]}",
        "{\"x\":{\"y\"}}",
        "\u{feff}{}",
        "{\"x\":\"\\ud800\"}",
        "{\"x\":\"\\udc00\\ud800\"}",
        "{\"x\":+1}",
        "{\"x\":.5}",
        "{\"x\":nul}",
        "{\"a\":1]",
        "{\"x\":[1}",
        "// c\n{}",
        "{\"x\":\"\0\"}",
    ] {
        let error = decode(&columns, Mode::FailFast, text.as_bytes()).unwrap_err();
        assert!(error.reason.starts_with("not JSON: "), "{text}: {error}");
        assert_eq!(
            decode(&columns, Mode::Permissive, text.as_bytes()),
            Ok(Some(vec![Value::Null, Value::Null])),
            "{text}"
        );
        assert_eq!(
            decode(&columns, Mode::DropMalformed, text.as_bytes()),
            Ok(None)
        );
    }
}

#[test]
fn the_reason_says_what_is_wrong_and_where() {
    let reason = |text: &[u8]| {
        decode(&[column("a", DataType::Int)], Mode::FailFast, text)
            .unwrap_err()
            .reason
    };
    assert_eq!(&*reason(b""), "not JSON: the value is empty, at byte 0");
    assert_eq!(
        &*reason(b"{\"a\":1"),
        "not JSON: the text ends too early, at byte 6"
    );
    assert_eq!(
        &*reason(b"{\"a\":1}x"),
        "not JSON: something follows the value, at byte 7"
    );
    assert_eq!(&*reason(b"[]"), "not JSON: expected an object, at byte 0");
    assert_eq!(
        &*reason(b"{\"a\":\"\xff\"}"),
        "not JSON: the bytes are not UTF-8, at byte 6"
    );
    assert_eq!(
        &*reason("\u{feff}{}".as_bytes()),
        "not JSON: a byte order mark stands before the value, at byte 0"
    );
}

#[test]
fn more_than_a_thousand_levels_of_nesting_are_an_error_and_no_overflow() {
    for levels in [1000, 100_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let text = format!("{{\"x\":{}1{}}}", open.repeat(levels), close.repeat(levels));
            let error = decode(&[], Mode::FailFast, text.as_bytes()).unwrap_err();
            assert!(error.reason.contains("too deep"), "{error}");
        }
    }
    let text = format!("{{\"x\":{}{}}}", "[".repeat(999), "]".repeat(999));
    assert_eq!(
        decode(&[], Mode::FailFast, text.as_bytes()),
        Ok(Some(vec![]))
    );
}

#[test]
fn ten_megabytes_are_decoded_like_ten_bytes() {
    let long = "x".repeat(10_000_000);
    let text = format!("{{\"skip\":\"{long}\",\"s\":\"{long}\\n\"}}");
    let row = decode(
        &[column("s", DataType::String)],
        Mode::FailFast,
        text.as_bytes(),
    );
    assert_eq!(
        row,
        Ok(Some(vec![Value::from(format!("{long}\n").as_str())]))
    );
}

#[test]
fn integers_fit_in_their_range_and_without_a_fraction() {
    assert_eq!(one(DataType::TinyInt, "-128"), Ok(Value::TinyInt(-128)));
    assert!(!fits(DataType::TinyInt, "128"));
    assert_eq!(one(DataType::SmallInt, "32767"), Ok(Value::SmallInt(32767)));
    assert!(!fits(DataType::SmallInt, "-32769"));
    assert_eq!(one(DataType::Int, "-2147483648"), Ok(Value::Int(i32::MIN)));
    assert!(!fits(DataType::Int, "2147483648"));
    assert_eq!(
        one(DataType::BigInt, "-9223372036854775808"),
        Ok(Value::BigInt(i64::MIN))
    );
    assert_eq!(
        one(DataType::BigInt, "9223372036854775807"),
        Ok(Value::BigInt(i64::MAX))
    );
    for value in [
        "9223372036854775808",
        "1.0",
        "1e3",
        "\"1\"",
        "true",
        "99999999999999999999",
    ] {
        assert!(!fits(DataType::BigInt, value), "{value}");
    }
}

#[test]
fn a_number_may_have_more_digits_than_fit_in_a_word() {
    let long = |digits: usize| format!("0.{}1", "0".repeat(digits));
    for text in [
        "123456789012345678901234567890".to_owned(),
        "18446744073709551616.5".to_owned(),
        "0.1234567812345678123456781".to_owned(),
        long(17),
        long(18),
        long(40),
    ] {
        let number = Value::Double(text.parse().unwrap());
        assert_eq!(one(DataType::Double, &text), Ok(number), "{text}");
    }
    let whole = |text| one(DataType::BigInt, text);
    assert_eq!(whole("9223372036854775807"), Ok(Value::BigInt(i64::MAX)));
    assert_eq!(whole("-9223372036854775808"), Ok(Value::BigInt(i64::MIN)));
    for beyond in [
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551617",
        "100000000000000000001",
    ] {
        assert!(whole(beyond).is_err(), "{beyond}");
    }
}

#[test]
fn doubles_take_numbers_and_the_words_for_what_is_none() {
    assert_eq!(one(DataType::Double, "12"), Ok(Value::Double(12.0)));
    assert_eq!(one(DataType::Double, "-0.1"), Ok(Value::Double(-0.1)));
    assert_eq!(one(DataType::Double, "1e-7"), Ok(Value::Double(1e-7)));
    assert_eq!(
        one(DataType::Double, "\"-INF\""),
        Ok(Value::Double(f64::NEG_INFINITY))
    );
    assert_eq!(
        one(DataType::Double, "Infinity"),
        Ok(Value::Double(f64::INFINITY))
    );
    assert!(matches!(one(DataType::Double, "\"NaN\""), Ok(Value::Double(n)) if n.is_nan()));
    assert!(matches!(one(DataType::Float, "NaN"), Ok(Value::Float(n)) if n.is_nan()));
    assert_eq!(one(DataType::Float, "0.1"), Ok(Value::Float(0.1)));
    assert!(!fits(DataType::Double, "\"12\""));
    assert!(!fits(DataType::Double, "\"INF\""));
    assert!(!fits(DataType::Float, "INF"));
    assert!(!fits(DataType::Double, "\"\""));
}

#[test]
fn decimals_are_exact_from_numbers_and_strings() {
    assert_eq!(one(MONEY, "19.99"), Ok(Value::Decimal(1999.into())));
    assert_eq!(one(MONEY, "\"-0.005\""), Ok(Value::Decimal((-1).into())));
    assert!(!fits(MONEY, "123456789.00"));
    assert!(!fits(MONEY, "NaN"));
}

#[test]
fn a_string_column_takes_any_value_as_its_text() {
    assert_eq!(
        one(DataType::String, r#""a\tb\u00e4\ud83d\ude00""#),
        Ok(Value::from("a\tbä😀"))
    );
    assert_eq!(one(DataType::String, "1.50"), Ok(Value::from("1.50")));
    assert_eq!(one(DataType::String, "true"), Ok(Value::from("true")));
    assert_eq!(
        one(DataType::String, r#"{"a": [1, "x"]}"#),
        Ok(Value::from(r#"{"a": [1, "x"]}"#))
    );
}

#[test]
fn times_come_as_text_and_timestamps_as_seconds_too() {
    assert_eq!(one(DataType::Date, "\"1970-01-02\""), Ok(Value::Date(1)));
    assert_eq!(
        one(DataType::Timestamp, "\"1970-01-01T00:00:01.5Z\""),
        Ok(Value::Timestamp(1_500_000))
    );
    assert_eq!(
        one(DataType::Timestamp, "2"),
        Ok(Value::Timestamp(2_000_000))
    );
    assert_eq!(
        one(DataType::TimestampNtz, "\"1970-01-01T00:00:01\""),
        Ok(Value::TimestampNtz(1_000_000))
    );
    assert!(!fits(DataType::Timestamp, "9223372036854775807"));
    assert!(!fits(DataType::Timestamp, "1.5"));
    assert!(!fits(DataType::Date, "\"yesterday\""));
    assert!(!fits(DataType::Date, "5"));
}

#[test]
fn bytes_are_base64() {
    assert_eq!(
        one(DataType::Binary, "\"AP8=\""),
        Ok(Value::Binary([0, 255].into()))
    );
    assert!(!fits(DataType::Binary, "\"?\""));
}

#[test]
fn nested_values_are_typed_all_the_way_down() {
    let point = structure(vec![column("x", DataType::Int), column("y", DataType::Int)]);
    let value = one(
        array(map(point.clone())),
        r#"[{"p":{"y":2,"z":0},"q":null},{}]"#,
    )
    .unwrap();
    let p = Value::Struct([Value::Null, Value::Int(2)].into());
    let first = Value::Map([(Value::from("p"), p), (Value::from("q"), Value::Null)].into());
    assert_eq!(value, Value::Array([first, Value::Map([].into())].into()));
    assert_eq!(
        one(structure(vec![column("at", point)]), r#"{"at":{"x":"1"}}"#).unwrap_err(),
        "column `v.at.x` is INT, a string at byte 16 does not fit"
    );
}

#[test]
fn a_name_that_stands_twice_in_a_map_is_there_twice() {
    let pair = |name: &str, number| (Value::from(name), Value::Int(number));
    assert_eq!(
        one(map(DataType::Int), r#"{"a":1,"b":2,"a":3}"#),
        Ok(Value::Map(
            [pair("a", 1), pair("b", 2), pair("a", 3)].into()
        ))
    );
}

#[test]
fn in_permissive_mode_a_struct_keeps_the_fields_that_fit() {
    let point = structure(vec![column("x", DataType::Int), column("y", DataType::Int)]);
    let columns = [column("p", array(point)), column("n", array(DataType::Int))];
    let text = br#"{"p":[{"x":"?","y":2}],"n":[1,"?"]}"#;
    let p = Value::Struct([Value::Null, Value::Int(2)].into());
    assert_eq!(
        decode(&columns, Mode::Permissive, text),
        Ok(Some(vec![Value::Array([p].into()), Value::Null]))
    );
}

#[test]
fn a_column_that_the_key_holds_need_not_come() {
    let columns = [
        column("k", DataType::String),
        column("v", DataType::Int),
        column("w", DataType::Int),
    ];
    let options = JsonOptions {
        elsewhere: vec!["K".into()],
        ..JsonOptions::default()
    };
    let mut decoder = decoder(&columns, &[0, 1, 2], Mode::FailFast, &options);
    for _ in 0..3000 {
        decoder.decode(br#"{"v":1}"#, &mut Row::new()).unwrap();
    }
    assert_eq!(decoder.absences(), 1, "w alone");
}

#[test]
fn a_column_that_never_comes_or_vanishes_is_counted_once() {
    let columns = [
        column("TotalValue", DataType::Double),
        column("id", DataType::Int),
    ];
    let mut decoder = decoder(&columns, &[0, 1], Mode::FailFast, &JsonOptions::default());
    let mut run = |records: usize, text: &[u8]| {
        for _ in 0..records {
            decoder.decode(text, &mut Row::new()).unwrap();
        }
        decoder.absences()
    };
    assert_eq!(run(999, br#"{"Totalvalue":1,"id":1}"#), 0);
    assert_eq!(run(1, br#"{"Totalvalue":1,"id":1}"#), 1);
    assert_eq!(run(5000, br#"{"Totalvalue":1,"id":1}"#), 1);
    assert_eq!(run(2000, br#"{"Totalvalue":1}"#), 2);
}

#[test]
fn what_is_strange_about_few_records_is_told_once_when_they_are_over() {
    let columns = [column("ID", DataType::Int), column("v", DataType::Int)];
    let told = |text: &[u8]| {
        let options = JsonOptions::default();
        let mut one = decoder(&columns, &[0, 1], Mode::FailFast, &options);
        one.decode(text, &mut Row::new()).unwrap();
        drop(one);
        options.told.load(std::sync::atomic::Ordering::Relaxed)
    };
    assert!(told(br#"{"id":1,"v":1}"#), "another case");
    assert!(told(br#"{"a":1,"b":1}"#), "no column at all");
    assert!(!told(br#"{"v":1,"b":1}"#), "it may be rare");
    assert!(!told(br#"{"ID":1,"v":1}"#));
}

#[test]
fn from_json_gives_nulls_for_what_does_not_parse() {
    let point = structure(vec![column("x", DataType::Int), column("y", DataType::Int)]);
    let parse = |data_type: &DataType, text: &str| {
        JsonParser::new(data_type, Mode::Permissive, &JsonOptions::default())
            .unwrap()
            .parse(text)
            .unwrap()
    };
    let pair = |x, y| Value::Struct([x, y].into());
    assert_eq!(
        parse(&point, r#"{"x":1}"#),
        pair(Value::Int(1), Value::Null)
    );
    assert_eq!(
        parse(&point, r#"{"x":"a","y":2}"#),
        pair(Value::Null, Value::Int(2))
    );
    assert_eq!(parse(&point, "{broken"), pair(Value::Null, Value::Null));
    assert_eq!(parse(&point, " "), Value::Null);
    assert_eq!(
        parse(&point, r#"[{"x":1}]"#),
        pair(Value::Null, Value::Null),
        "an array is no STRUCT"
    );
    assert_eq!(
        parse(&array(point), r#"{"x":1,"y":2}"#),
        Value::Array([pair(Value::Int(1), Value::Int(2))].into())
    );
    assert_eq!(parse(&array(DataType::Int), "[1,\"a\"]"), Value::Null);
    assert_eq!(
        parse(&map(DataType::Int), r#"{"a":1}"#),
        Value::Map([(Value::from("a"), Value::Int(1))].into())
    );
    assert!(JsonParser::new(&DataType::Int, Mode::Permissive, &JsonOptions::default()).is_err());
}

#[test]
fn from_json_in_failfast_mode_says_why() {
    let mut parser = JsonParser::new(
        &array(DataType::Int),
        Mode::FailFast,
        &JsonOptions::default(),
    )
    .unwrap();
    assert!(parser.parse("[1]").is_ok());
    let error = parser.parse("[").unwrap_err();
    assert_eq!(
        &*error.reason,
        "from_json: not JSON: the text ends too early, at byte 1"
    );
}

#[test]
fn types_that_json_cannot_hold_are_named() {
    assert!(unsupported(&array(DataType::DayTimeInterval)).is_some());
    assert!(unsupported(&DataType::Map((DataType::Int, DataType::Int).into())).is_some());
    assert!(unsupported(&structure(vec![column("a", MONEY)])).is_none());
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map("[a-d\"é]{0,3}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Columns of many types under names that the random records have too.
fn many_columns() -> Vec<Field> {
    vec![
        column("a", DataType::String),
        Field::required("b", DataType::Double),
        column("c", array(DataType::BigInt)),
        column("d", map(structure(vec![column("a", MONEY)]))),
        column("", DataType::Timestamp),
        column("aa", DataType::Binary),
        column("ab", DataType::Date),
    ]
}

fn skips(text: &str) -> bool {
    let mut scanner = Scanner::new(text, super::Syntax::default());
    scanner.skip().is_ok() && scanner.end().is_ok()
}

proptest! {
    #[test]
    fn whatever_the_bytes_decoding_ends_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for mode in [Mode::FailFast, Mode::Permissive, Mode::DropMalformed] {
            let _ = decode(&many_columns(), mode, &bytes);
        }
    }

    #[test]
    fn whatever_is_cut_or_changed_in_a_record_decoding_ends_without_a_panic(
        value in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()
    ) {
        let mut text = format!("{{\"a\":{value},\"c\":{value},\"d\":{value}}}").into_bytes();
        let at = at.index(text.len());
        if cut { text.truncate(at) } else { text[at] = byte }
        for mode in [Mode::FailFast, Mode::Permissive, Mode::DropMalformed] {
            let _ = decode(&many_columns(), mode, &text);
        }
    }

    #[test]
    fn what_serde_json_writes_is_json(value in any_json()) {
        prop_assert!(skips(&value.to_string()));
        prop_assert!(skips(&serde_json::to_string_pretty(&value).unwrap()));
    }

    /// Letters that make up JSON, so that a good part of the texts nearly is.
    #[test]
    fn the_scanner_takes_what_serde_json_takes(text in r#"[\[\]{},:"a\\u0129.eE+ \n-]{0,12}|-?[0-9]{1,3}[.eE+-]{0,2}[0-9]{0,3}|\{"a":[\[\]0-9"tru]{0,6}\}"#) {
        let other = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(skips(&text), other, "{}", text);
    }

    #[test]
    fn strings_and_numbers_read_as_serde_json_reads_them(s in any::<String>(), n in any::<i64>(), d in any::<f64>().prop_filter("finite", |d| d.is_finite()), short in -1_000_000_i64..1_000_000, digits in 0..9_usize) {
        let text = serde_json::json!(s).to_string();
        prop_assert_eq!(one(DataType::String, &text), Ok(Value::from(s.as_str())));
        prop_assert_eq!(one(DataType::BigInt, &n.to_string()), Ok(Value::BigInt(n)));
        prop_assert_eq!(one(DataType::Double, &format!("{d:?}")), Ok(Value::Double(d)));
        prop_assert_eq!(one(DataType::Double, &format!("{d:e}")), Ok(Value::Double(d)));
        let plain = format!("{}.{:0digits$}", short, short.unsigned_abs());
        prop_assert_eq!(one(DataType::Double, &plain), Ok(Value::Double(plain.parse().unwrap())));
    }
}
