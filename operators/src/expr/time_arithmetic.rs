//! Arithmetic of dates, times and intervals.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::access::{self, long};
use crate::expr::body::{Body, Outcome};
use crate::expr::calendar::{self, MICROS_PER_DAY, Zone};
use crate::expr::coerce::{self, Settings};
use crate::expr::decimal;
use crate::expr::typed::{Arithmetic, Call, Form, Mode, Op, Typed};
use crate::job_error::Location;

/// The node of an operation in which a date, time or interval takes part; None when none does or it has no meaning.
pub(crate) fn bind(
    operator: Arithmetic,
    left: &Typed,
    right: &Typed,
    mode: Mode,
    settings: Settings,
    at: Location,
) -> Option<Typed> {
    use DataType as T;
    let (left, right) = (left.clone(), right.clone());
    let to = |typed: Typed, to: &T| coerce::cast_implicitly(typed, to, settings);
    let node = |args: Vec<Typed>, data_type: T, call: TimeFn| {
        Some(node(operator, mode, args, data_type, at, call))
    };
    let zone = settings.zone;
    match (operator, &left.data_type, &right.data_type) {
        (Arithmetic::Add, T::YearMonthInterval | T::DayTimeInterval, T::Date)
        | (Arithmetic::Add, T::YearMonthInterval | T::DayTimeInterval, T::Timestamp)
        | (Arithmetic::Add, T::YearMonthInterval | T::DayTimeInterval, T::TimestampNtz) => {
            bind(operator, &right, &left, mode, settings, at)
        }
        (Arithmetic::Add, number, T::Date) if number.is_integer() => {
            bind(operator, &right, &left, mode, settings, at)
        }
        (Arithmetic::Multiply, number, T::YearMonthInterval | T::DayTimeInterval)
            if number.is_numeric() =>
        {
            bind(operator, &right, &left, mode, settings, at)
        }
        (Arithmetic::Add | Arithmetic::Subtract, T::Date, number) if number.is_integer() => {
            node(vec![left, right], T::Date, add_days(sign(operator)))
        }
        (Arithmetic::Add | Arithmetic::Subtract, T::Date, T::YearMonthInterval) => {
            node(vec![left, right], T::Date, add_months(sign(operator), zone))
        }
        (Arithmetic::Add | Arithmetic::Subtract, T::Date, T::DayTimeInterval) => {
            // Spark types an interval of days apart from one of hours; here a constant of whole days is the former.
            let whole_days = matches!(right.constant(), Some(Value::DayTimeInterval(micros)) if micros % MICROS_PER_DAY == 0);
            if whole_days {
                let days = Typed::literal(
                    Value::BigInt(right.constant().map_or(0, long) / MICROS_PER_DAY),
                    T::BigInt,
                    right.at,
                );
                return node(vec![left, days], T::Date, add_days(sign(operator)));
            }
            let left = to(left, &T::Timestamp);
            node(
                vec![left, right],
                T::Timestamp,
                add_micros(sign(operator), zone),
            )
        }
        (
            Arithmetic::Add | Arithmetic::Subtract,
            T::Timestamp | T::TimestampNtz,
            T::YearMonthInterval,
        ) => {
            let data_type = left.data_type.clone();
            node(
                vec![left, right],
                data_type,
                add_months(sign(operator), zone),
            )
        }
        (
            Arithmetic::Add | Arithmetic::Subtract,
            T::Timestamp | T::TimestampNtz,
            T::DayTimeInterval,
        ) => {
            let data_type = left.data_type.clone();
            node(
                vec![left, right],
                data_type,
                add_micros(sign(operator), zone),
            )
        }
        (Arithmetic::Subtract, T::Date, T::Date) => node(
            vec![left, right],
            T::DayTimeInterval,
            Box::new(date_difference),
        ),
        (
            Arithmetic::Subtract,
            T::Date | T::Timestamp | T::TimestampNtz | T::String,
            T::Date | T::Timestamp | T::TimestampNtz | T::String,
        ) if left.data_type != T::String || right.data_type != T::String => {
            // Without an instant on either side no zone takes part, and beside a time without zone an instant loses its own.
            let common = match (&left.data_type, &right.data_type) {
                (T::TimestampNtz, T::Timestamp) | (T::Timestamp, T::TimestampNtz) => {
                    T::TimestampNtz
                }
                (T::Timestamp | T::String, _) | (_, T::Timestamp | T::String) => T::Timestamp,
                _ => T::TimestampNtz,
            };
            let (left, right) = (to(left, &common), to(right, &common));
            // Spark counts by the clock: a day of 23 hours is a day.
            let clock = (common == T::Timestamp).then_some(zone);
            node(
                vec![left, right],
                T::DayTimeInterval,
                time_difference(clock),
            )
        }
        (
            Arithmetic::Add | Arithmetic::Subtract,
            T::YearMonthInterval | T::DayTimeInterval,
            other,
        ) if *other == left.data_type => {
            let data_type = left.data_type.clone();
            node(vec![left, right], data_type, add_intervals(sign(operator)))
        }
        (
            Arithmetic::Multiply | Arithmetic::Divide,
            T::YearMonthInterval | T::DayTimeInterval,
            number,
        ) if number.is_numeric() => {
            let data_type = left.data_type.clone();
            let scale = match number {
                T::Decimal { scale, .. } => Some(*scale),
                number if number.is_integer() => Some(0),
                _ => None,
            };
            let right = match number {
                T::Decimal { .. } => right,
                number if number.is_integer() => to(right, &T::BigInt),
                _ => to(right, &T::Double),
            };
            let divide = operator == Arithmetic::Divide;
            let call = match scale {
                Some(scale) => scale_exactly(divide, decimal::pow10(scale)),
                None => scale_interval(divide),
            };
            node(vec![left, right], data_type, call)
        }
        (Arithmetic::IntegralDivide, T::YearMonthInterval | T::DayTimeInterval, other)
            if *other == left.data_type =>
        {
            let quotient = |a: &Value, b: &Value| long(a).checked_div(long(b)).map(Value::BigInt);
            node(vec![left, right], T::BigInt, Box::new(quotient))
        }
        (Arithmetic::Add, T::DayTimeInterval, T::String) => {
            bind(operator, &right, &left, mode, settings, at)
        }
        // A text is a time, and the sum a text again.
        (Arithmetic::Add | Arithmetic::Subtract, T::String, T::DayTimeInterval) => {
            let time = to(left, &T::Timestamp);
            let sum = bind(operator, &time, &right, mode, settings, at)?;
            Some(coerce::cast_implicitly(sum, &T::String, settings))
        }
        _ => None,
    }
}

/// None is overflow.
type TimeFn = Box<dyn Fn(&Value, &Value) -> Option<Value> + Send + Sync>;

fn node(
    operator: Arithmetic,
    mode: Mode,
    args: Vec<Typed>,
    data_type: DataType,
    at: Location,
    call: TimeFn,
) -> Typed {
    let nullable = mode == Mode::Try || args.iter().any(|arg| arg.nullable);
    let shown = data_type.to_string();
    let call = Call {
        name: SmolStr::new_static(operator.symbol()),
        form: Form::Infix,
        body: Body::Pure {
            call: Arc::new(move |v| match call(&v[0], &v[1]) {
                Some(value) => Ok(value),
                None => overflow(mode, &shown),
            }),
            nulls: false,
        },
        deterministic: true,
    };
    Typed::node(Op::Call(call), args, data_type, nullable, at)
}

#[cold]
fn overflow(mode: Mode, data_type: &str) -> Outcome {
    match mode {
        Mode::Try => Ok(Value::Null),
        // Spark has no older answer for times: an overflow is an error in both modes.
        Mode::Ansi | Mode::Legacy => Err(RecordError::expression(format!(
            "the result does not fit {data_type}, or is a division by zero"
        ))),
    }
}

fn sign(operator: Arithmetic) -> i64 {
    if operator == Arithmetic::Subtract {
        -1
    } else {
        1
    }
}

fn add_days(sign: i64) -> TimeFn {
    Box::new(move |date, days| {
        let days = long(days).checked_mul(sign)?;
        let sum = i64::from(access::date(date)).checked_add(days)?;
        i32::try_from(sum).ok().map(Value::Date)
    })
}

fn add_months(sign: i64, zone: Zone) -> TimeFn {
    Box::new(move |time, months| {
        let months = i32::try_from(long(months).checked_mul(sign)?).ok()?;
        let local_months = |micros: i64| {
            let day = i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok()?;
            let later = calendar::add_months(day, months)?;
            calendar::moment(later, micros.rem_euclid(MICROS_PER_DAY))
        };
        Some(match time {
            Value::Date(day) => Value::Date(calendar::add_months(*day, months)?),
            Value::TimestampNtz(micros) => Value::TimestampNtz(local_months(*micros)?),
            other => {
                let local = calendar::shown(access::micros(other), zone)?;
                Value::Timestamp(calendar::utc(local_months(local)?, zone)?)
            }
        })
    })
}

/// Days are days of the calendar, so an hour may be missing or double in them; the rest is exact time.
fn add_micros(sign: i64, zone: Zone) -> TimeFn {
    Box::new(move |time, interval| {
        let interval = long(interval).checked_mul(sign)?;
        match time {
            Value::TimestampNtz(micros) => micros.checked_add(interval).map(Value::TimestampNtz),
            other => {
                let micros = access::micros(other);
                if zone == Zone::UTC {
                    return micros.checked_add(interval).map(Value::Timestamp);
                }
                let days = interval / MICROS_PER_DAY * MICROS_PER_DAY;
                let local = calendar::shown(micros, zone)?.checked_add(days)?;
                calendar::utc(local, zone)?
                    .checked_add(interval % MICROS_PER_DAY)
                    .map(Value::Timestamp)
            }
        }
    })
}

fn date_difference(a: &Value, b: &Value) -> Option<Value> {
    let days = i64::from(access::date(a)) - i64::from(access::date(b));
    days.checked_mul(MICROS_PER_DAY).map(Value::DayTimeInterval)
}

fn time_difference(clock: Option<Zone>) -> TimeFn {
    Box::new(move |a, b| {
        let shown = |time: &Value| match clock {
            Some(zone) => calendar::local(access::micros(time), zone),
            None => access::micros(time),
        };
        shown(a).checked_sub(shown(b)).map(Value::DayTimeInterval)
    })
}

fn add_intervals(sign: i64) -> TimeFn {
    Box::new(move |a, b| match (a, b) {
        (Value::YearMonthInterval(a), Value::YearMonthInterval(b)) => {
            i32::try_from(i64::from(*a) + sign * i64::from(*b))
                .ok()
                .map(Value::YearMonthInterval)
        }
        _ => long(b)
            .checked_mul(sign)
            .and_then(|b| long(a).checked_add(b))
            .map(Value::DayTimeInterval),
    })
}

fn scale_interval(divide: bool) -> TimeFn {
    Box::new(move |interval, factor| {
        let factor = access::double(factor);
        if divide && factor == 0.0 {
            return None;
        }
        let number = long(interval) as f64;
        let scaled = if divide {
            number / factor
        } else {
            number * factor
        };
        // Spark rounds HALF_UP, away from zero.
        let scaled = crate::expr::number::truncate_to_long(scaled.round(), false)?;
        same_kind(interval, scaled)
    })
}

/// By an integer or a decimal, whose unit is `one`.
fn scale_exactly(divide: bool, one: i128) -> TimeFn {
    Box::new(move |interval, factor| {
        let number = i128::from(long(interval));
        let factor = match factor {
            Value::BigInt(factor) => i128::from(*factor),
            other => access::unscaled(other),
        };
        let (number, by) = if divide {
            (number.checked_mul(one)?, factor)
        } else {
            (number.checked_mul(factor)?, one)
        };
        let (quotient, rest) = (number.checked_div(by)?, number.checked_rem(by)?);
        // HALF_UP.
        let up = rest.unsigned_abs() >= by.unsigned_abs() - rest.unsigned_abs();
        let away = if (number < 0) == (by < 0) { 1 } else { -1 };
        let scaled = quotient + if up && rest != 0 { away } else { 0 };
        same_kind(interval, i64::try_from(scaled).ok()?)
    })
}

/// An interval of the kind of another.
fn same_kind(interval: &Value, amount: i64) -> Option<Value> {
    Some(match interval {
        Value::YearMonthInterval(_) => Value::YearMonthInterval(i32::try_from(amount).ok()?),
        _ => Value::DayTimeInterval(amount),
    })
}
