//! The ORDER BY column as one integer that sorts as the column does.

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::stateful::over::Distance;

/// The time of a row whose ORDER BY column is NULL: before all others.
pub(super) const NULL_TIME: i64 = i64::MIN;

/// How to read the ORDER BY column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sorted {
    pub(super) place: usize,
    real: bool,
}

impl Sorted {
    pub(super) fn new(place: usize, data_type: &DataType) -> Self {
        Self {
            place,
            real: matches!(data_type, DataType::Float | DataType::Double),
        }
    }

    /// The integer of a value.
    #[inline]
    pub(super) fn time(self, value: &Value) -> i64 {
        let time = match value {
            Value::Timestamp(n)
            | Value::TimestampNtz(n)
            | Value::BigInt(n)
            | Value::DayTimeInterval(n) => *n,
            Value::Int(n) | Value::Date(n) | Value::YearMonthInterval(n) => i64::from(*n),
            Value::SmallInt(n) => i64::from(*n),
            Value::TinyInt(n) => i64::from(*n),
            Value::Double(x) => of_real(*x),
            Value::Float(x) => of_real(f64::from(*x)),
            Value::Decimal(n) => i64::try_from(i128::from(*n)).unwrap_or(i64::MAX),
            _ => return NULL_TIME,
        };
        // The one value that NULL has taken shares a place with its neighbour.
        time.max(NULL_TIME + 1)
    }

    /// The integer of what lies so far below.
    #[inline]
    pub(super) fn below(self, time: i64, distance: Distance) -> i64 {
        if time == NULL_TIME {
            return time;
        }
        let below = match distance {
            Distance::Whole(distance) if self.real =>
            {
                #[allow(clippy::cast_precision_loss)]
                of_real(to_real(time) - distance as f64)
            }
            Distance::Whole(distance) => time.saturating_sub(distance),
            Distance::Real(distance) => of_real(to_real(time) - distance),
        };
        below.max(NULL_TIME + 1)
    }
}

/// The value of the column that has this integer.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn value_of(time: i64, data_type: &DataType) -> Value {
    match data_type {
        _ if time == NULL_TIME => Value::Null,
        DataType::Timestamp => Value::Timestamp(time),
        DataType::TimestampNtz => Value::TimestampNtz(time),
        DataType::Date => Value::Date(time as i32),
        DataType::Float => Value::Float(to_real(time) as f32),
        DataType::Double => Value::Double(to_real(time)),
        DataType::Decimal { .. } => Value::Decimal(i128::from(time).into()),
        DataType::TinyInt => Value::TinyInt(time as i8),
        DataType::SmallInt => Value::SmallInt(time as i16),
        DataType::Int => Value::Int(time as i32),
        _ => Value::BigInt(time),
    }
}

fn of_real(x: f64) -> i64 {
    let x = if x.is_nan() { f64::NAN } else { x + 0.0 };
    flip(x.to_bits().cast_signed())
}

fn to_real(time: i64) -> f64 {
    f64::from_bits(flip(time).cast_unsigned())
}

/// Turns the bits of doubles into integers in the same order, and back.
fn flip(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_sort_as_their_integers_and_nan_is_last() {
        let sorted = [
            f64::NEG_INFINITY,
            -2.5,
            -1e-300,
            0.0,
            1e-300,
            3.0,
            f64::INFINITY,
            f64::NAN,
        ];
        assert!(sorted.map(of_real).is_sorted());
        assert_eq!(of_real(-0.0), of_real(0.0));
        for x in &sorted[..7] {
            assert_eq!(to_real(of_real(*x)), *x);
        }
    }

    #[test]
    fn a_time_is_a_value_again() {
        for value in [
            Value::Timestamp(-7),
            Value::Date(20_000),
            Value::Double(-2.5),
            Value::Int(i32::MIN),
            Value::Null,
        ] {
            let data_type = match value {
                Value::Timestamp(_) => DataType::Timestamp,
                Value::Date(_) => DataType::Date,
                Value::Double(_) => DataType::Double,
                _ => DataType::Int,
            };
            let time = Sorted::new(0, &data_type).time(&value);
            assert_eq!(value_of(time, &data_type), value);
        }
    }

    #[test]
    fn what_lies_below_is_in_the_columns_own_unit() {
        let reals = Sorted::new(0, &DataType::Double);
        let time = reals.time(&Value::Double(10.5));
        let below = reals.below(time, Distance::Real(0.75));
        assert_eq!(below, reals.time(&Value::Double(9.75)));
        let days = Sorted::new(0, &DataType::Date);
        assert_eq!(
            days.below(days.time(&Value::Date(3)), Distance::Whole(5)),
            -2
        );
        assert_eq!(days.below(NULL_TIME, Distance::Whole(5)), NULL_TIME);
    }
}
