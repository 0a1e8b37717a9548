//! Constants in the name of a column.

use std::fmt::Write;

use sqlparser::ast::{self, DateTimeField, Interval, TypedString};
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::interval::{self, Unit};
use crate::expr::scope::Scope;
use crate::expr::typed::{Kind, Typed};
use crate::expr::{literal, text};
use crate::job_error::Location;

/// A number, a text, a truth value, NULL or bytes; `negative` says that a minus stands before it.
pub(super) fn value(value: &ast::Value, negative: bool) -> String {
    match value {
        ast::Value::Number(..) => {
            let typed = literal::literal(value, negative, Location::default());
            typed.map_or_else(
                |_| value.to_string(),
                |typed| shown(&typed, &Scope::default()),
            )
        }
        ast::Value::HexStringLiteral(digits) => format!("X'{digits}'"),
        other => match other.clone().into_string() {
            Some(text) => text,
            None => other.to_string(),
        },
    }
}

/// `DATE '...'` and its like.
pub(super) fn typed(typed: &TypedString, scope: &Scope) -> String {
    match literal::typed_string(typed, scope.settings(), Location::default()) {
        Ok(known) => format!("{} '{}'", known.data_type, shown(&known, scope)),
        Err(_) => typed.to_string(),
    }
}

fn shown(typed: &Typed, scope: &Scope) -> String {
    let mut out = String::new();
    if let Kind::Literal(value) = &typed.kind {
        text::append(&mut out, value, &typed.data_type, scope.time_zone);
    }
    out
}

/// `INTERVAL '1 02' DAY TO HOUR`: from the greatest to the least unit that was written.
pub(super) fn interval(interval: &Interval) -> String {
    let Ok(Typed {
        kind, data_type, ..
    }) = literal::interval(interval, Location::default())
    else {
        return interval.to_string();
    };
    let written = units(interval);
    let (Some(first), Some(last)) = (written.iter().min(), written.iter().max()) else {
        return interval.to_string();
    };
    match (kind, data_type) {
        (Kind::Literal(Value::YearMonthInterval(months)), DataType::YearMonthInterval) => {
            of_months(months, *first, *last)
        }
        (Kind::Literal(Value::DayTimeInterval(micros)), DataType::DayTimeInterval) => {
            of_micros(micros, field_of(*first), field_of(*last))
        }
        _ => interval.to_string(),
    }
}

/// The units that stand in it.
fn units(interval: &Interval) -> Vec<Unit> {
    let fields = [&interval.leading_field, &interval.last_field];
    let named: Vec<Unit> = fields
        .into_iter()
        .flatten()
        .filter_map(|field: &DateTimeField| interval::unit(&field.to_string()))
        .collect();
    if !named.is_empty() {
        return named;
    }
    let text = interval.value.to_string();
    let words = text.split(|c: char| !c.is_ascii_alphabetic());
    words.filter_map(interval::unit).collect()
}

/// The field of an interval that a unit is counted in.
fn field_of(unit: Unit) -> Unit {
    match unit {
        Unit::Week => Unit::Day,
        Unit::Millisecond | Unit::Microsecond => Unit::Second,
        other => other,
    }
}

fn of_months(months: i32, first: Unit, last: Unit) -> String {
    let sign = if months < 0 { "-" } else { "" };
    let months = months.unsigned_abs();
    match (first, last) {
        (Unit::Year, Unit::Year) => format!("INTERVAL '{sign}{}' YEAR", months / 12),
        (Unit::Month, _) => format!("INTERVAL '{sign}{months}' MONTH"),
        _ => format!(
            "INTERVAL '{sign}{}-{}' YEAR TO MONTH",
            months / 12,
            months % 12
        ),
    }
}

fn of_micros(micros: i64, first: Unit, last: Unit) -> String {
    const FIELDS: [(Unit, &str, u64, u64); 4] = [
        (Unit::Day, "DAY", 86_400_000_000, u64::MAX),
        (Unit::Hour, "HOUR", 3_600_000_000, 24),
        (Unit::Minute, "MINUTE", 60_000_000, 60),
        (Unit::Second, "SECOND", 1_000_000, 60),
    ];
    let total = micros.unsigned_abs();
    let mut out = format!("INTERVAL '{}", if micros < 0 { "-" } else { "" });
    let (mut from, mut to) = ("", "");
    for (unit, name, size, most) in FIELDS {
        if unit < first || unit > last {
            continue;
        }
        let count = if unit == first {
            total / size
        } else {
            total / size % most
        };
        // Writing into a String cannot fail.
        let _ = match unit {
            Unit::Day => write!(out, "{count}"),
            _ if unit == first => write!(out, "{count:02}"),
            Unit::Hour => write!(out, " {count:02}"),
            _ => write!(out, ":{count:02}"),
        };
        if unit == Unit::Second {
            text::append_fraction(&mut out, i64::try_from(total % size).unwrap_or_default());
        }
        if from.is_empty() {
            from = name;
        }
        to = name;
    }
    match from == to {
        true => format!("{out}' {from}"),
        false => format!("{out}' {from} TO {to}"),
    }
}
