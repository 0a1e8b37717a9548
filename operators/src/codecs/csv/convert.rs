//! The text of a value as its column's type, as Spark's reader takes it: stricter than a cast.

use smol_str::SmolStr;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::dialect::CsvOptions;
use crate::expr::{cast, number};

/// A text as a value of a type; None where it is none.
#[inline]
pub(super) fn value(content: &str, to: &DataType, options: &CsvOptions) -> Option<Value> {
    use DataType as T;
    Some(match to {
        T::String => Value::String(SmolStr::new(content)),
        T::TinyInt => Value::TinyInt(content.parse().ok()?),
        T::SmallInt => Value::SmallInt(content.parse().ok()?),
        T::Int => Value::Int(content.parse().ok()?),
        T::BigInt => Value::BigInt(content.parse().ok()?),
        T::Double => Value::Double(match special(content, options) {
            Some(special) => special,
            None => match number::plain_double(content) {
                Some(number) => number,
                None => number::parse_double(java_number(content)?)?,
            },
        }),
        #[allow(clippy::cast_possible_truncation)]
        T::Float => Value::Float(match special(content, options) {
            Some(special) => special as f32,
            None => number::parse_float(java_number(content)?)?,
        }),
        T::Boolean if content.eq_ignore_ascii_case("true") => Value::Boolean(true),
        T::Boolean if content.eq_ignore_ascii_case("false") => Value::Boolean(false),
        T::Boolean => return None,
        T::Decimal { precision, scale } => {
            let unscaled = if content.contains(',') {
                number::parse_decimal(&content.replace(',', ""), *precision, *scale)?
            } else {
                number::parse_decimal(content, *precision, *scale)?
            };
            Value::Decimal(unscaled.into())
        }
        T::Date => Value::Date(options.times.read_date(content)?),
        T::Timestamp => Value::Timestamp(options.times.read_timestamp(content)?),
        T::TimestampNtz => Value::TimestampNtz(options.times.read_local(content)?),
        T::Binary => Value::Binary(content.as_bytes().into()),
        T::YearMonthInterval | T::DayTimeInterval => {
            cast::parse(content, to, options.times.zone, false)?
        }
        T::Void | T::Array(_) | T::Map(_) | T::Struct(_) => return None,
    })
}

/// The words of the options for numbers that are none.
#[inline]
fn special(content: &str, options: &CsvOptions) -> Option<f64> {
    // The first byte decides nearly always; comparing the whole costs a call.
    let is = |word: &str| content.as_bytes().first() == word.as_bytes().first() && content == word;
    if is(&options.nan) {
        Some(f64::NAN)
    } else if is(&options.negative_inf) {
        Some(f64::NEG_INFINITY)
    } else if is(&options.positive_inf) {
        Some(f64::INFINITY)
    } else {
        None
    }
}

/// What Java reads as a number: white space around it is cut off, and of the words only `NaN` and `Infinity` count.
#[inline]
pub(super) fn java_number(content: &str) -> Option<&str> {
    let trimmed = content.trim_matches(|c| c <= ' ');
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let first = unsigned.bytes().next()?;
    let known = !first.is_ascii_alphabetic() || unsigned == "NaN" || unsigned == "Infinity";
    known.then_some(trimmed)
}
