//! Constants as they are written: `1`, `1L`, `1.5`, `1.5D`, `2BD`, `'text'`, `X'1F'`, `DATE '...'`, `INTERVAL ...`.

use sqlparser::ast::{self, DateTimeField, Expr, Interval, TypedString};
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::cast;
use crate::expr::coerce::Settings;
use crate::expr::decimal;
use crate::expr::interval::{self, Unit};
use crate::expr::number;
use crate::expr::type_name;
use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};

/// A constant of the parser's tree; `negative` says that a minus stands before it.
pub(crate) fn literal(value: &ast::Value, negative: bool, at: Location) -> Result<Typed, JobError> {
    use ast::Value as V;
    let (value, data_type) = match value {
        V::Number(digits, long) => return number(digits, *long, negative, at),
        V::SingleQuotedString(text)
        | V::DoubleQuotedString(text)
        | V::TripleSingleQuotedString(text)
        | V::TripleDoubleQuotedString(text)
        | V::SingleQuotedRawStringLiteral(text)
        | V::DoubleQuotedRawStringLiteral(text) => (Value::from(text.as_str()), DataType::String),
        V::Boolean(value) => (Value::Boolean(*value), DataType::Boolean),
        V::Null => (Value::Null, DataType::Void),
        V::HexStringLiteral(digits) => (Value::Binary(hex(digits, at)?.into()), DataType::Binary),
        V::Placeholder(name) => {
            return Err(
                JobError::new(at, format!("`{name}`: a job file has no parameters")).help(
                    "write '${NAME}' in quotes: the environment variable NAME takes its place; cast it where it is no text",
                ),
            );
        }
        other => {
            return Err(JobError::new(
                at,
                format!("`{other}` is not a literal of this language"),
            ));
        }
    };
    Ok(Typed::literal(value, data_type, at))
}

/// Bytes from hexadecimal digits; an odd number of them begins with a zero, as in Spark.
fn hex(digits: &str, at: Location) -> Result<Vec<u8>, JobError> {
    let padded = if digits.len() % 2 == 1 {
        format!("0{digits}")
    } else {
        digits.to_owned()
    };
    padded
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            std::str::from_utf8(pair)
                .ok()
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .ok_or_else(|| {
                    JobError::new(at, format!("X'{digits}' has other than hexadecimal digits"))
                })
        })
        .collect()
}

fn number(written: &str, long: bool, negative: bool, at: Location) -> Result<Typed, JobError> {
    let split = written
        .find(|c: char| c.is_ascii_alphabetic() && c != 'e' && c != 'E')
        .unwrap_or(written.len());
    let (digits, suffix) = written.split_at(split);
    let suffix = if long { "L" } else { suffix };
    let signed = if negative {
        format!("-{digits}")
    } else {
        digits.to_owned()
    };
    let wrong =
        |data_type: DataType| JobError::new(at, format!("{signed} does not fit {data_type}"));
    let whole = |data_type: DataType| {
        signed
            .parse::<i64>()
            .map_err(|_| wrong(data_type.clone()))
            .map(|number| (number, data_type))
    };
    let (value, data_type) = match suffix {
        "L" => {
            let (number, data_type) = whole(DataType::BigInt)?;
            (Value::BigInt(number), data_type)
        }
        "S" => {
            let (number, data_type) = whole(DataType::SmallInt)?;
            let number = i16::try_from(number).map_err(|_| wrong(data_type.clone()))?;
            (Value::SmallInt(number), data_type)
        }
        "Y" => {
            let (number, data_type) = whole(DataType::TinyInt)?;
            let number = i8::try_from(number).map_err(|_| wrong(data_type.clone()))?;
            (Value::TinyInt(number), data_type)
        }
        "D" => double(&signed).ok_or_else(|| wrong(DataType::Double))?,
        "F" => {
            let number = number::parse_float(&signed).filter(|number| number.is_finite());
            (
                Value::Float(number.ok_or_else(|| wrong(DataType::Float))?),
                DataType::Float,
            )
        }
        "BD" => exact(&signed).ok_or_else(|| too_long(&signed, at))?,
        _ if digits.contains(['e', 'E']) => {
            double(&signed).ok_or_else(|| wrong(DataType::Double))?
        }
        _ if digits.contains('.') => exact(&signed).ok_or_else(|| too_long(&signed, at))?,
        _ => match signed.parse::<i64>() {
            Ok(number) => match i32::try_from(number) {
                Ok(number) => (Value::Int(number), DataType::Int),
                Err(_) => (Value::BigInt(number), DataType::BigInt),
            },
            Err(_) => exact(&signed).ok_or_else(|| too_long(&signed, at))?,
        },
    };
    Ok(Typed {
        written: true,
        ..Typed::literal(value, data_type, at)
    })
}

fn too_long(digits: &str, at: Location) -> JobError {
    JobError::new(at, format!("{digits} has more than 38 digits"))
        .help("write it with an exponent or the suffix D for a DOUBLE")
}

fn double(signed: &str) -> Option<(Value, DataType)> {
    number::parse_double(signed)
        .filter(|number| number.is_finite())
        .map(|number| (Value::Double(number), DataType::Double))
}

/// A decimal with exactly the digits that were written.
fn exact(signed: &str) -> Option<(Value, DataType)> {
    let (mantissa, exponent) = match signed.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (signed, 0),
    };
    let fraction = mantissa
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    let scale = u8::try_from((i64::try_from(fraction).ok()? - exponent).max(0)).ok()?;
    if scale > decimal::MAX_PRECISION {
        return None;
    }
    let unscaled = number::parse_decimal(signed, decimal::MAX_PRECISION, scale)?;
    let precision = decimal::digits(unscaled).max(scale);
    Some((
        Value::Decimal(unscaled.into()),
        DataType::Decimal { precision, scale },
    ))
}

/// `DATE '...'`, `TIMESTAMP '...'`, `TIMESTAMP_NTZ '...'`.
pub(crate) fn typed_string(
    typed: &TypedString,
    settings: Settings,
    at: Location,
) -> Result<Typed, JobError> {
    let data_type = type_name::data_type(&typed.data_type, at)?;
    let ast::Value::SingleQuotedString(text) = &typed.value.value else {
        return Err(JobError::new(
            at,
            format!("expected {data_type} and a quoted text"),
        ));
    };
    match data_type {
        DataType::Date | DataType::Timestamp | DataType::TimestampNtz => {}
        other => {
            return Err(
                JobError::new(at, format!("there are no literals {other} '...'"))
                    .help(format!("write CAST('{text}' AS {other})")),
            );
        }
    }
    match cast::parse(text, &data_type, settings.zone, false) {
        Some(value) => Ok(Typed::literal(value, data_type, at)),
        None => Err(JobError::new(at, format!("'{text}' is no {data_type}"))
            .help("write it like 2024-12-31 or 2024-12-31 23:59:59")),
    }
}

/// `INTERVAL ...` of constants.
pub(crate) fn interval(interval: &Interval, at: Location) -> Result<Typed, JobError> {
    let wrong = |why: &str| {
        JobError::new(at, format!("`{interval}` is no interval: {why}")).help(
            "write INTERVAL 1 DAY, INTERVAL '1 day 2 hours' or INTERVAL '1:30' HOUR TO MINUTE",
        )
    };
    let text =
        constant_text(&interval.value).ok_or_else(|| wrong("its number must be a constant"))?;
    let parsed = match (&interval.leading_field, &interval.last_field) {
        (None, _) => interval::parse(&text),
        (Some(first), last) => {
            let first = unit(first).ok_or_else(|| wrong("it has an unknown unit"))?;
            let last = match last {
                Some(last) => Some(unit(last).ok_or_else(|| wrong("it has an unknown unit"))?),
                None => None,
            };
            interval::parse_fields(&text, first, last)
        }
    };
    let (value, data_type) = parsed.map_err(wrong)?;
    Ok(Typed::literal(value, data_type, at))
}

fn unit(field: &DateTimeField) -> Option<Unit> {
    interval::unit(&field.to_string())
}

fn constant_text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) => constant_text(inner),
        Expr::Value(value) => match &value.value {
            ast::Value::Number(digits, false) | ast::Value::SingleQuotedString(digits) => {
                Some(digits.clone())
            }
            _ => None,
        },
        Expr::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr,
        } => match constant_text(expr)?.as_str() {
            text if text.starts_with('-') => Some(text[1..].to_owned()),
            text => Some(format!("-{text}")),
        },
        _ => None,
    }
}
