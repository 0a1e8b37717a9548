//! Implicit casts: which type several expressions have in common, and what a parameter accepts.

use std::sync::Arc;

use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::calendar::Zone;
use crate::expr::cast;
use crate::expr::decimal;
use crate::expr::functions::Param;
use crate::expr::typed::{Cast, Kind, Mode, Op, Typed};

/// The settings that change what an expression means.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `SET ansi`.
    pub ansi: bool,
    /// `SET timeZone`.
    pub zone: Zone,
}

/// The expression as a value of the type; itself when it has that type. Whether such a cast exists is
/// [`cast::allowed`]'s to say.
pub fn cast(typed: Typed, to: &DataType, mode: Mode, settings: Settings, implicit: bool) -> Typed {
    if typed.data_type == *to {
        return typed;
    }
    if let Kind::Literal(Value::Null) = typed.kind {
        return Typed::literal(Value::Null, to.clone(), typed.at);
    }
    let nullable =
        typed.nullable || mode != Mode::Ansi || cast::may_be_no_number(&typed.data_type, to);
    let at = typed.at;
    let op = Op::Cast(Cast {
        mode,
        zone: settings.zone,
        implicit,
    });
    Typed::node(op, vec![typed], to.clone(), nullable, at)
}

/// A cast that the author did not write.
pub fn cast_implicitly(typed: Typed, to: &DataType, settings: Settings) -> Typed {
    cast(typed, to, Mode::of(settings.ansi), settings, true)
}

/// The type that all of them can be cast to without being asked.
pub fn common_type<'t>(
    items: impl Iterator<Item = &'t Typed>,
    settings: Settings,
) -> Option<DataType> {
    let mut common = DataType::Void;
    for item in items {
        common = wider(&common, &item.data_type, settings.ansi)?;
    }
    Some(common)
}

/// The digits of a number type as a decimal: precision and scale.
pub fn as_decimal(data_type: &DataType) -> Option<(u8, u8)> {
    Some(match data_type {
        DataType::TinyInt => (3, 0),
        DataType::SmallInt => (5, 0),
        DataType::Int => (10, 0),
        DataType::BigInt => (20, 0),
        DataType::Decimal { precision, scale } => (*precision, *scale),
        _ => return None,
    })
}

fn rank(data_type: &DataType) -> Option<u8> {
    Some(match data_type {
        DataType::TinyInt => 0,
        DataType::SmallInt => 1,
        DataType::Int => 2,
        DataType::BigInt => 3,
        DataType::Float => 4,
        DataType::Double => 5,
        _ => return None,
    })
}

/// The number type that holds both; None when one is no number.
pub fn wider_number(a: &DataType, b: &DataType, ansi: bool) -> Option<DataType> {
    if a == b && a.is_numeric() {
        return Some(a.clone());
    }
    if let (Some(rank_a), Some(rank_b)) = (rank(a), rank(b)) {
        let wider = if rank_a > rank_b { a } else { b };
        // A float cannot hold every integer.
        return Some(if ansi && *wider == DataType::Float {
            DataType::Double
        } else {
            wider.clone()
        });
    }
    if !a.is_numeric() || !b.is_numeric() {
        return None;
    }
    match (as_decimal(a), as_decimal(b)) {
        (Some(a), Some(b)) => {
            let (precision, scale) = decimal::wider_type(a, b);
            Some(DataType::Decimal { precision, scale })
        }
        _ => Some(DataType::Double),
    }
}

/// The narrowest type that holds both, as `coalesce`, CASE and UNION need it.
pub fn wider(a: &DataType, b: &DataType, ansi: bool) -> Option<DataType> {
    wider_with(a, b, ansi, false)
}

/// The same type with fields that may all be NULL.
pub(crate) fn nullable(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Array(element) => DataType::Array(Arc::new(nullable(element))),
        DataType::Map(pair) => DataType::Map(Arc::new((pair.0.clone(), nullable(&pair.1)))),
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| Field::nullable(field.name.clone(), nullable(&field.data_type)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// The type in which both are compared.
pub fn comparable(a: &DataType, b: &DataType, ansi: bool) -> Option<DataType> {
    wider_with(a, b, ansi, true)
}

fn wider_with(a: &DataType, b: &DataType, ansi: bool, comparing: bool) -> Option<DataType> {
    use DataType as T;
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (T::Void, other) | (other, T::Void) => Some(other.clone()),
        (T::String, other) | (other, T::String) => with_text(other, ansi, comparing),
        (T::Timestamp, T::Date | T::TimestampNtz) | (T::Date | T::TimestampNtz, T::Timestamp) => {
            Some(T::Timestamp)
        }
        (T::TimestampNtz, T::Date) | (T::Date, T::TimestampNtz) => Some(T::TimestampNtz),
        (T::Array(a), T::Array(b)) => {
            wider_with(a, b, ansi, comparing).map(|element| T::Array(Arc::new(element)))
        }
        (T::Map(a), T::Map(b)) => {
            let key = wider_with(&a.0, &b.0, ansi, comparing)?;
            let value = wider_with(&a.1, &b.1, ansi, comparing)?;
            Some(T::Map(Arc::new((key, value))))
        }
        (T::Struct(a), T::Struct(b)) if a.len() == b.len() => a
            .iter()
            .zip(b.iter())
            .map(|(a, b)| {
                // As in Spark, structs are compared field by field whatever the fields are called: `(a, b) IN ((1, 'x'))`.
                if !comparing && !a.name.eq_ignore_ascii_case(&b.name) {
                    return None;
                }
                Some(Field {
                    name: a.name.clone(),
                    data_type: wider_with(&a.data_type, &b.data_type, ansi, comparing)?,
                    nullable: a.nullable || b.nullable,
                })
            })
            .collect::<Option<Arc<[Field]>>>()
            .map(T::Struct),
        _ => wider_number(a, b, ansi),
    }
}

/// What a STRING and something else become.
fn with_text(other: &DataType, ansi: bool, comparing: bool) -> Option<DataType> {
    use DataType as T;
    if matches!(other, T::Array(_) | T::Map(_) | T::Struct(_)) {
        return None;
    }
    if ansi {
        return Some(if other.is_integer() {
            T::BigInt
        } else if other.is_numeric() {
            T::Double
        } else {
            other.clone()
        });
    }
    match other {
        T::Decimal { scale, .. } if comparing && *scale > 0 => Some(T::Double),
        _ if comparing => Some(other.clone()),
        T::Binary | T::Boolean => None,
        _ => Some(T::String),
    }
}

/// Whether the type holds other values.
pub fn is_nested(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Array(_) | DataType::Map(_) | DataType::Struct(_)
    )
}

/// The argument coerced to a parameter; None when it does not fit.
pub fn to_param(typed: Typed, param: Param, settings: Settings) -> Option<Typed> {
    use DataType as T;
    let got = &typed.data_type;
    let lambda = matches!(typed.kind, Kind::Lambda { .. });
    if lambda || param == Param::Lambda {
        return (lambda && param == Param::Lambda).then_some(typed);
    }
    let time = matches!(got, T::Date | T::Timestamp | T::TimestampNtz);
    let text = *got == T::String;
    let null = *got == T::Void;
    let to = match param {
        Param::Any => got.clone(),
        Param::Boolean if text || null || *got == T::Boolean => T::Boolean,
        Param::Int if got.is_numeric() || text || null => T::Int,
        Param::Long if got.is_numeric() || text || null => T::BigInt,
        Param::Integral if got.is_integer() => got.clone(),
        Param::Integral if text => T::BigInt,
        Param::Integral if null => T::Int,
        Param::Double if got.is_numeric() || text || null => T::Double,
        Param::Number if got.is_numeric() => got.clone(),
        Param::Number if text || null => T::Double,
        Param::Text if !is_nested(got) => T::String,
        Param::Binary if text || null || *got == T::Binary => T::Binary,
        Param::TextOrBinary if *got == T::Binary => T::Binary,
        Param::TextOrBinary if !is_nested(got) => T::String,
        Param::Date if time || text || null => T::Date,
        Param::Timestamp if time || text || null => T::Timestamp,
        Param::Time if time => got.clone(),
        Param::Time if text || null => T::Timestamp,
        Param::Array if matches!(got, T::Array(_)) => got.clone(),
        Param::Array if null => T::Array(Arc::new(T::Void)),
        Param::Map if matches!(got, T::Map(_)) => got.clone(),
        Param::Map if null => T::Map(Arc::new((T::Void, T::Void))),
        Param::Struct if matches!(got, T::Struct(_)) => got.clone(),
        _ => return None,
    };
    Some(cast_implicitly(typed, &to, settings))
}

/// A parameter in words.
pub fn param_name(param: Param) -> &'static str {
    match param {
        Param::Any => "any value",
        Param::Boolean => "BOOLEAN",
        Param::Int => "INT",
        Param::Long => "BIGINT",
        Param::Integral => "an integer",
        Param::Double => "DOUBLE",
        Param::Number => "a number",
        Param::Text => "STRING",
        Param::Binary => "BINARY",
        Param::TextOrBinary => "STRING or BINARY",
        Param::Date => "DATE",
        Param::Timestamp => "TIMESTAMP",
        Param::Time => "DATE or TIMESTAMP",
        Param::Array => "an ARRAY",
        Param::Map => "a MAP",
        Param::Struct => "a STRUCT",
        Param::Lambda => "a lambda",
    }
}
