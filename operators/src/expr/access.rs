//! The content of a value whose type the check has established.
//!
//! A value of another variant would be a fault of the type checker: debug builds stop there, release builds go on with
//! an empty value rather than end a lane.

use thalweg_engine::row::Value;

macro_rules! wrong {
    ($value:expr, $expected:literal, $default:expr) => {{
        debug_assert!(false, "expected {}, got {:?}", $expected, $value);
        $default
    }};
}

/// The text of a STRING.
#[inline]
pub fn text(value: &Value) -> &str {
    match value {
        Value::String(text) => text.as_str(),
        other => wrong!(other, "STRING", ""),
    }
}

/// The bytes of a BINARY, or of a STRING in UTF-8.
#[inline]
pub fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::Binary(bytes) => bytes,
        Value::String(text) => text.as_bytes(),
        other => wrong!(other, "BINARY", &[]),
    }
}

/// A BOOLEAN.
#[inline]
pub fn boolean(value: &Value) -> bool {
    match value {
        Value::Boolean(value) => *value,
        other => wrong!(other, "BOOLEAN", false),
    }
}

/// An INT.
#[inline]
pub fn int(value: &Value) -> i32 {
    match value {
        Value::Int(number) => *number,
        other => wrong!(other, "INT", 0),
    }
}

/// An integer of any width, a DATE's days, or the microseconds of a timestamp or interval.
#[inline]
pub fn long(value: &Value) -> i64 {
    match value {
        Value::BigInt(number)
        | Value::Timestamp(number)
        | Value::TimestampNtz(number)
        | Value::DayTimeInterval(number) => *number,
        Value::Int(number) | Value::Date(number) | Value::YearMonthInterval(number) => {
            i64::from(*number)
        }
        Value::SmallInt(number) => i64::from(*number),
        Value::TinyInt(number) => i64::from(*number),
        other => wrong!(other, "BIGINT", 0),
    }
}

/// A DOUBLE or FLOAT.
#[inline]
pub fn double(value: &Value) -> f64 {
    match value {
        Value::Double(number) => *number,
        Value::Float(number) => f64::from(*number),
        other => wrong!(other, "DOUBLE", 0.0),
    }
}

/// The unscaled number of a DECIMAL.
#[inline]
pub fn unscaled(value: &Value) -> i128 {
    match value {
        Value::Decimal(number) => i128::from(*number),
        other => wrong!(other, "DECIMAL", 0),
    }
}

/// The days of a DATE since 1970-01-01.
#[inline]
pub fn date(value: &Value) -> i32 {
    match value {
        Value::Date(days) => *days,
        other => wrong!(other, "DATE", 0),
    }
}

/// The microseconds of a TIMESTAMP or TIMESTAMP_NTZ.
#[inline]
pub fn micros(value: &Value) -> i64 {
    match value {
        Value::Timestamp(micros) | Value::TimestampNtz(micros) => *micros,
        other => wrong!(other, "TIMESTAMP", 0),
    }
}

/// The elements of an ARRAY.
#[inline]
pub fn array(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) => elements,
        other => wrong!(other, "ARRAY", &[]),
    }
}

/// The pairs of a MAP.
#[inline]
pub fn map(value: &Value) -> &[(Value, Value)] {
    match value {
        Value::Map(pairs) => pairs,
        other => wrong!(other, "MAP", &[]),
    }
}

/// The values of a STRUCT.
#[inline]
pub fn fields(value: &Value) -> &[Value] {
    match value {
        Value::Struct(fields) => fields,
        other => wrong!(other, "STRUCT", &[]),
    }
}
