//! How rows are written, and that they are read back as they were.

use proptest::prelude::*;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};

use super::stories::{MONEY, array, column, decode, map, structure};
use super::{JsonOptions, encoder};
use crate::codecs::Mode;
use crate::expr::calendar::Zone;

fn encode(fields: Vec<Field>, row: &[Value]) -> String {
    let mut out = Vec::new();
    encoder(&Schema::new(fields)).encode(row, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_row_is_written_as_spark_writes_it() {
    let fields = vec![
        column("s", DataType::String),
        column("gone", DataType::String),
        column("d", DataType::Double),
        column("nan", DataType::Double),
        column("m", MONEY),
        column("small", MONEY),
        column("t", DataType::Timestamp),
        column("day", DataType::Date),
        column("b", DataType::Binary),
        column("a", array(DataType::Int)),
        column(
            "p",
            structure(vec![column("x", DataType::Int), column("y", DataType::Int)]),
        ),
        column("k", map(DataType::Boolean)),
    ];
    let row = [
        Value::from("a\"b\\c\n\u{1}/ä"),
        Value::Null,
        Value::Double(20.0),
        Value::Double(f64::NAN),
        Value::Decimal((-123_450).into()),
        Value::Decimal(5.into()),
        Value::Timestamp(1_795_255_200_123_456),
        Value::Date(20_778),
        Value::Binary([0, 255].into()),
        Value::Array([Value::Int(1), Value::Null].into()),
        Value::Struct([Value::Null, Value::Int(2)].into()),
        Value::Map([(Value::from("k"), Value::Null)].into()),
    ];
    assert_eq!(
        encode(fields, &row),
        concat!(
            r#"{"s":"a\"b\\c\n\u0001/ä","d":20.0,"nan":"NaN","m":-1234.50,"small":0.05,"#,
            r#""t":"2026-11-21T10:00:00.123Z","day":"2026-11-21","b":"AP8=","a":[1,null],"p":{"y":2},"k":{"k":null}}"#
        )
    );
}

#[test]
fn times_are_written_in_the_sessions_zone() {
    let options = JsonOptions::in_zone(Zone::Region(chrono_tz::Tz::Europe__Berlin));
    let mut out = Vec::new();
    super::append(
        &mut out,
        &Value::Timestamp(0),
        &DataType::Timestamp,
        &options,
    );
    super::append(
        &mut out,
        &Value::TimestampNtz(0),
        &DataType::TimestampNtz,
        &options,
    );
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#""1970-01-01T01:00:00.000+01:00""1970-01-01T00:00:00.000""#
    );
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_to_the_same_row(
        s in any::<String>(), n in any::<i64>(), d in any::<f64>(), b in prop::collection::vec(any::<u8>(), 0..50),
        millis in -60_000_000_000_000_i64..200_000_000_000_000, days in -700_000..2_000_000, money in -10_i64.pow(10) + 1..10_i64.pow(10), flag in prop::option::of(any::<bool>())
    ) {
        let fields = vec![
            column("s\"", DataType::String), column("n", DataType::BigInt), column("d", DataType::Double), column("b", DataType::Binary),
            column("t", DataType::Timestamp), column("day", DataType::Date), column("m", MONEY),
            column("deep", array(structure(vec![column("flag", DataType::Boolean), column("k", map(DataType::String))]))),
        ];
        let k = Value::Map([(Value::from(s.as_str()), Value::from(s.as_str()))].into());
        let deep = Value::Struct([flag.map_or(Value::Null, Value::Boolean), k].into());
        let row = vec![
            Value::from(s.as_str()), Value::BigInt(n), Value::Double(d), Value::Binary(b.into()), Value::Timestamp(millis * 1000),
            Value::Date(days), Value::Decimal(i128::from(money).into()), Value::Array([deep, Value::Null].into()),
        ];
        let text = encode(fields.clone(), &row);
        let back = decode(&fields, Mode::FailFast, text.as_bytes()).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?.unwrap();
        // NaN is not equal to itself.
        prop_assert_eq!(format!("{back:?}"), format!("{row:?}"));
    }
}
