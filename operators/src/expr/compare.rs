//! The order and equality of values, as Spark sees them.

use std::cmp::Ordering;

use thalweg_engine::row::Value;

/// The order of two values of one type. NaN equals NaN and is the greatest number, -0.0 equals 0.0, NULL comes first,
/// arrays and structs are compared element by element, text by its bytes.
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::TinyInt(a), Value::TinyInt(b)) => a.cmp(b),
        (Value::SmallInt(a), Value::SmallInt(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b))
        | (Value::Date(a), Value::Date(b))
        | (Value::YearMonthInterval(a), Value::YearMonthInterval(b)) => a.cmp(b),
        (Value::BigInt(a), Value::BigInt(b))
        | (Value::Timestamp(a), Value::Timestamp(b))
        | (Value::TimestampNtz(a), Value::TimestampNtz(b))
        | (Value::DayTimeInterval(a), Value::DayTimeInterval(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => compare_double(f64::from(*a), f64::from(*b)),
        (Value::Double(a), Value::Double(b)) => compare_double(*a, *b),
        (Value::Decimal(a), Value::Decimal(b)) => i128::from(*a).cmp(&i128::from(*b)),
        (Value::String(a), Value::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Binary(a), Value::Binary(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) | (Value::Struct(a), Value::Struct(b)) => {
            compare_all(a, b)
        }
        (Value::Map(a), Value::Map(b)) => {
            for (a, b) in a.iter().zip(b.iter()) {
                let order = compare(&a.0, &b.0).then_with(|| compare(&a.1, &b.1));
                if order != Ordering::Equal {
                    return order;
                }
            }
            a.len().cmp(&b.len())
        }
        // Values of two types never meet; an order all the same, so that sorting cannot go wrong.
        _ => variant(a).cmp(&variant(b)),
    }
}

/// Whether two values of one type are equal; NULL equals NULL.
#[inline]
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a == b,
        _ => compare(a, b) == Ordering::Equal,
    }
}

/// NaN equals NaN and is the greatest; -0.0 equals 0.0.
#[inline]
pub fn compare_double(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn compare_all(a: &[Value], b: &[Value]) -> Ordering {
    for (a, b) in a.iter().zip(b) {
        let order = compare(a, b);
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

fn variant(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Boolean(_) => 1,
        Value::TinyInt(_) => 2,
        Value::SmallInt(_) => 3,
        Value::Int(_) => 4,
        Value::BigInt(_) => 5,
        Value::Float(_) => 6,
        Value::Double(_) => 7,
        Value::Decimal(_) => 8,
        Value::String(_) => 9,
        Value::Binary(_) => 10,
        Value::Date(_) => 11,
        Value::Timestamp(_) => 12,
        Value::TimestampNtz(_) => 13,
        Value::YearMonthInterval(_) => 14,
        Value::DayTimeInterval(_) => 15,
        Value::Array(_) => 16,
        Value::Map(_) => 17,
        Value::Struct(_) => 18,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_the_greatest_and_equals_itself() {
        let d = Value::Double;
        assert!(equal(&d(f64::NAN), &d(f64::NAN)));
        assert!(equal(&d(-0.0), &d(0.0)));
        assert_eq!(compare(&d(f64::INFINITY), &d(f64::NAN)), Ordering::Less);
        assert_eq!(compare(&Value::Null, &d(0.0)), Ordering::Less);
    }
}
