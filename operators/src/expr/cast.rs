//! Casts: which exist, and how each value is converted, under ANSI rules and without.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::{Unscaled, Value};
use thalweg_engine::schema::DataType;

use crate::expr::access;
use crate::expr::body::Outcome;
use crate::expr::calendar::{self, MICROS_PER_DAY, MICROS_PER_SECOND, Zone};
use crate::expr::interval::Unit;
use crate::expr::typed::{Cast, Mode};
use crate::expr::{interval, number, text, time_text};

/// Converts one value that is not NULL.
pub(crate) type Caster = Box<dyn FnMut(&Value) -> Outcome + Send>;

/// Whether a cast between the types exists.
pub fn allowed(from: &DataType, to: &DataType, mode: Mode) -> bool {
    use DataType as T;
    let legacy = mode == Mode::Legacy;
    let time = |t: &T| matches!(t, T::Date | T::Timestamp | T::TimestampNtz);
    let interval = |t: &T| matches!(t, T::YearMonthInterval | T::DayTimeInterval);
    if from == to {
        return true;
    }
    match (from, to) {
        (T::Void, _) | (_, T::String) => true,
        (T::Array(a), T::Array(b)) => allowed(a, b, mode),
        (T::Map(a), T::Map(b)) => allowed(&a.0, &b.0, mode) && allowed(&a.1, &b.1, mode),
        (T::Struct(a), T::Struct(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b.iter())
                    .all(|(a, b)| allowed(&a.data_type, &b.data_type, mode))
        }
        (T::String, T::Binary | T::Boolean) => true,
        (T::String, to) => to.is_numeric() || time(to) || interval(to),
        (T::Boolean, to) => to.is_numeric() || (legacy && *to == T::Timestamp),
        (from, T::Boolean) => {
            from.is_numeric() || (legacy && matches!(from, T::Date | T::Timestamp))
        }
        (from, to) if from.is_numeric() && to.is_numeric() => true,
        (from, T::Timestamp) if from.is_numeric() => true,
        (T::Timestamp, to) if to.is_numeric() => true,
        (T::Date, to) if to.is_numeric() => legacy,
        (from, T::Binary) => from.is_integer() && legacy,
        (from, to) => time(from) && time(to),
    }
}

#[cold]
fn fail(from: &str, to: &DataType, why: &str, content: &str) -> RecordError {
    RecordError::expression(format!("cannot cast {from} to {to}: {why}")).with_content(content)
}

#[cold]
fn out_of_range(value: &Value, from: &DataType, to: &DataType) -> RecordError {
    let mut shown = String::new();
    text::append(&mut shown, value, from, Zone::UTC);
    fail(&from.to_string(), to, "out of range", &shown)
}

/// The converter between two types that [`allowed`] allows.
pub(crate) fn caster(from: &DataType, to: &DataType, cast: Cast) -> Caster {
    let strict = strict_caster(from, to, cast);
    let interval = matches!(to, DataType::YearMonthInterval | DataType::DayTimeInterval);
    match cast.mode {
        // A text that is no interval is an error without ANSI rules too, as in Spark.
        Mode::Legacy if *from == DataType::String && interval => strict,
        Mode::Ansi => strict,
        Mode::Legacy | Mode::Try => {
            let mut strict = strict;
            Box::new(move |value| Ok(strict(value).unwrap_or_default()))
        }
    }
}

/// The converter that fails where there is no value.
fn strict_caster(from: &DataType, to: &DataType, cast: Cast) -> Caster {
    use DataType as T;
    let zone = cast.zone;
    let legacy = cast.mode == Mode::Legacy;
    match (from, to) {
        (a, b) if a == b => Box::new(|value| Ok(value.clone())),
        (_, T::String) => to_text(from.clone(), zone),
        (T::String, to) => from_text(to.clone(), zone, legacy),
        (T::Array(a), T::Array(b)) => {
            let mut element = caster(a, b, cast);
            Box::new(move |value| {
                access::array(value)
                    .iter()
                    .map(|value| nested(&mut element, value))
                    .collect::<Result<Arc<[Value]>, _>>()
                    .map(Value::Array)
            })
        }
        (T::Map(a), T::Map(b)) => {
            let mut keys = caster(&a.0, &b.0, cast);
            let mut values = caster(&a.1, &b.1, cast);
            Box::new(move |value| {
                access::map(value)
                    .iter()
                    .map(|(key, value)| Ok((nested(&mut keys, key)?, nested(&mut values, value)?)))
                    .collect::<Result<Arc<[(Value, Value)]>, RecordError>>()
                    .map(Value::Map)
            })
        }
        (T::Struct(a), T::Struct(b)) => {
            let mut fields: Vec<Caster> = a
                .iter()
                .zip(b.iter())
                .map(|(a, b)| caster(&a.data_type, &b.data_type, cast))
                .collect();
            Box::new(move |value| {
                access::fields(value)
                    .iter()
                    .zip(&mut fields)
                    .map(|(value, field)| nested(field, value))
                    .collect::<Result<Arc<[Value]>, _>>()
                    .map(Value::Struct)
            })
        }
        (from, to) if time_like(from) && time_like(to) => between_times(to.clone(), zone),
        (from, T::Timestamp) => to_timestamp(from.clone()),
        (T::Timestamp | T::Date, to) => {
            let (from, to) = (from.clone(), to.clone());
            Box::new(move |value| from_timestamp(value, &from, &to, legacy))
        }
        (from, T::Binary) => {
            let _ = from;
            Box::new(|value| Ok(Value::Binary(big_endian(value).into())))
        }
        (from, to) => {
            let (from, to) = (from.clone(), to.clone());
            let no_number = may_be_no_number(&from, &to);
            Box::new(move |value| {
                if no_number && !access::double(value).is_finite() {
                    return Ok(Value::Null);
                }
                number::convert(value, &from, &to, legacy)
                    .ok_or_else(|| out_of_range(value, &from, &to))
            })
        }
    }
}

/// Whether the cast gives NULL under ANSI rules too: NaN and infinities are no decimals.
pub(crate) fn may_be_no_number(from: &DataType, to: &DataType) -> bool {
    matches!(from, DataType::Float | DataType::Double) && matches!(to, DataType::Decimal { .. })
}

fn nested(caster: &mut Caster, value: &Value) -> Outcome {
    if value.is_null() {
        Ok(Value::Null)
    } else {
        caster(value)
    }
}

fn time_like(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Date | DataType::Timestamp | DataType::TimestampNtz
    )
}

fn to_text(from: DataType, zone: Zone) -> Caster {
    let mut scratch = String::new();
    Box::new(move |value| {
        if let Value::String(text) = value {
            return Ok(Value::String(text.clone()));
        }
        scratch.clear();
        text::append(&mut scratch, value, &from, zone);
        Ok(Value::String(SmolStr::new(&scratch)))
    })
}

fn from_text(to: DataType, zone: Zone, legacy: bool) -> Caster {
    Box::new(move |value| {
        let content = access::text(value);
        parse(content, &to, zone, legacy)
            .ok_or_else(|| fail("STRING", &to, &format!("not {}", form_of(&to)), content))
    })
}

/// A text as a value of a type, as Spark's cast reads it; None when it is none.
pub fn parse(content: &str, to: &DataType, zone: Zone, legacy: bool) -> Option<Value> {
    use DataType as T;
    let trimmed = text::trim(content);
    Some(match to {
        T::String => Value::String(SmolStr::new(content)),
        T::Binary => Value::Binary(content.as_bytes().into()),
        T::Boolean => Value::Boolean(number::parse_boolean(trimmed)?),
        T::TinyInt => Value::TinyInt(number::parse_integer(trimmed, legacy)?.try_into().ok()?),
        T::SmallInt => Value::SmallInt(number::parse_integer(trimmed, legacy)?.try_into().ok()?),
        T::Int => Value::Int(number::parse_integer(trimmed, legacy)?.try_into().ok()?),
        T::BigInt => Value::BigInt(number::parse_integer(trimmed, legacy)?),
        T::Float => Value::Float(number::parse_float(trimmed)?),
        T::Double => Value::Double(number::parse_double(trimmed)?),
        T::Decimal { precision, scale } => {
            Value::Decimal(number::parse_decimal(trimmed, *precision, *scale)?.into())
        }
        T::Date => Value::Date(time_text::parse_date(content)?),
        T::Timestamp => Value::Timestamp(time_text::parse_timestamp(content, zone)?),
        T::TimestampNtz => Value::TimestampNtz(time_text::parse_timestamp_ntz(content)?),
        T::YearMonthInterval | T::DayTimeInterval => {
            let (first, last) = match to {
                T::YearMonthInterval => (Unit::Year, Unit::Month),
                _ => (Unit::Day, Unit::Second),
            };
            let (value, data_type) = interval::parse_fields(content, first, Some(last))
                .or_else(|_| interval::parse(content))
                .ok()?;
            (data_type == *to).then_some(value)?
        }
        T::Void | T::Array(_) | T::Map(_) | T::Struct(_) => return None,
    })
}

/// What a text should have been.
fn form_of(to: &DataType) -> &'static str {
    use DataType as T;
    match to {
        T::Boolean => "true or false",
        T::Date => "a date such as 2024-12-31",
        T::Timestamp | T::TimestampNtz => "a time such as 2024-12-31 23:59:59",
        T::YearMonthInterval | T::DayTimeInterval => "an interval such as 1 day 2 hours",
        T::TinyInt | T::SmallInt | T::Int | T::BigInt => "a whole number in its range",
        _ => "a number in its range",
    }
}

fn between_times(to: DataType, zone: Zone) -> Caster {
    let day = |micros: i64| i32::try_from(micros.div_euclid(MICROS_PER_DAY)).unwrap_or_default();
    let instant = move |local: i64| calendar::utc(local, zone).map(Value::Timestamp);
    Box::new(move |value| {
        let (from, cast) = match (value, &to) {
            (Value::Date(days), DataType::Timestamp) => {
                (DataType::Date, calendar::midnight(*days).and_then(instant))
            }
            (Value::Date(days), _) => (
                DataType::Date,
                calendar::midnight(*days).map(Value::TimestampNtz),
            ),
            (Value::Timestamp(micros), DataType::Date) => {
                return Ok(Value::Date(day(calendar::local(*micros, zone))));
            }
            (Value::Timestamp(micros), _) => (
                DataType::Timestamp,
                calendar::shown(*micros, zone).map(Value::TimestampNtz),
            ),
            (Value::TimestampNtz(micros), DataType::Date) => return Ok(Value::Date(day(*micros))),
            (Value::TimestampNtz(micros), _) => (DataType::TimestampNtz, instant(*micros)),
            _ => return Ok(Value::Null),
        };
        cast.ok_or_else(|| out_of_range(value, &from, &to))
    })
}

/// Seconds since 1970 as a time; a fraction counts.
fn to_timestamp(from: DataType) -> Caster {
    Box::new(move |value| {
        let micros = match (value, &from) {
            (Value::Boolean(value), _) => Some(i64::from(*value)),
            (Value::Double(_) | Value::Float(_), _) => {
                let seconds = access::double(value);
                // Spark: NaN and infinities are no time at all.
                if !seconds.is_finite() {
                    return Err(out_of_range(value, &from, &DataType::Timestamp));
                }
                number::truncate_to_long(seconds * 1e6, false)
            }
            (Value::Decimal(unscaled), DataType::Decimal { scale, .. }) => {
                let number = i128::from(*unscaled);
                let micros = if *scale <= 6 {
                    number.checked_mul(crate::expr::decimal::pow10(6 - scale))
                } else {
                    Some(number / crate::expr::decimal::pow10(scale - 6))
                };
                micros.and_then(|micros| i64::try_from(micros).ok())
            }
            _ => access::long(value).checked_mul(MICROS_PER_SECOND),
        };
        micros
            .map(Value::Timestamp)
            .ok_or_else(|| out_of_range(value, &from, &DataType::Timestamp))
    })
}

/// A time as seconds since 1970.
fn from_timestamp(value: &Value, from: &DataType, to: &DataType, legacy: bool) -> Outcome {
    if *from == DataType::Date {
        // Without ansi a date is no number: NULL.
        return Ok(Value::Null);
    }
    let micros = access::micros(value);
    let converted = match to {
        DataType::Boolean => Some(Value::Boolean(micros != 0)),
        DataType::Double => Some(Value::Double(micros as f64 / 1e6)),
        DataType::Float => Some(Value::Float((micros as f64 / 1e6) as f32)),
        DataType::Decimal { .. } => number::convert(
            &Value::Decimal(Unscaled::from(i128::from(micros))),
            &DataType::Decimal {
                precision: 19,
                scale: 6,
            },
            to,
            legacy,
        ),
        _ => number::convert(
            &Value::BigInt(micros.div_euclid(MICROS_PER_SECOND)),
            &DataType::BigInt,
            to,
            false,
        ),
    };
    converted.ok_or_else(|| out_of_range(value, from, to))
}

fn big_endian(value: &Value) -> Vec<u8> {
    match value {
        Value::TinyInt(number) => number.to_be_bytes().to_vec(),
        Value::SmallInt(number) => number.to_be_bytes().to_vec(),
        Value::Int(number) => number.to_be_bytes().to_vec(),
        other => access::long(other).to_be_bytes().to_vec(),
    }
}
