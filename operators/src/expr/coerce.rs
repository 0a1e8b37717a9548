//! Implicit casts: which type several expressions have in common, and what a parameter accepts.

use chrono_tz::Tz;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::functions::Param;
use crate::expr::typed::{Cast, Kind, Mode, Op, Typed};

/// The settings that change what an expression means.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `SET ansi`.
    pub ansi: bool,
    /// `SET timeZone`.
    pub zone: Tz,
}

/// The expression as a value of the type; itself when it has that type.
pub fn cast(typed: Typed, to: &DataType, mode: Mode, settings: Settings, implicit: bool) -> Typed {
    if typed.data_type == *to {
        return typed;
    }
    if let Kind::Literal(Value::Null) = typed.kind {
        return Typed::literal(Value::Null, to.clone(), typed.at);
    }
    let nullable = typed.nullable || mode != Mode::Ansi;
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

/// The narrowest type that holds both, as `coalesce`, CASE, UNION and comparisons need it.
pub fn wider(a: &DataType, b: &DataType, ansi: bool) -> Option<DataType> {
    let _ = ansi;
    if a == b || *b == DataType::Void {
        return Some(a.clone());
    }
    if *a == DataType::Void {
        return Some(b.clone());
    }
    None
}

/// The argument coerced to a parameter; None when it does not fit.
pub fn to_param(typed: Typed, param: Param, settings: Settings) -> Option<Typed> {
    let to = match param {
        Param::Text => DataType::String,
        Param::Int => DataType::Int,
        Param::Double => DataType::Double,
        Param::Boolean => DataType::Boolean,
        _ => return Some(typed),
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
