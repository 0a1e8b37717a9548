//! Functions of numbers: sign, rounding, order.

use std::cmp::Ordering;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Any, Double, Int, Long, Number};
use super::forms::{constant_long, failed};
use super::rounding::{Rounding, round_decimal, round_double, round_integer};
use super::{BindContext, Function, function};
use crate::expr::access::{double, long};
use crate::expr::coerce;
use crate::expr::compare::compare;
use crate::expr::decimal::fits;
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "abs",
        "abs(x)",
        "The absolute value, of the same type.",
        "abs(-1)",
        "1",
        |args, cx| {
            signed(args, cx, |value| {
                compare(value, &zero(value)) == Ordering::Less
            })
        },
    ),
    function(
        "negative",
        "negative(x)",
        "The value with the other sign.",
        "negative(1)",
        "-1",
        |args, cx| signed(args, cx, |_| true),
    ),
    function(
        "positive",
        "positive(x)",
        "The value itself.",
        "positive(1)",
        "1",
        |args, cx| {
            let mut args = cx.take(args, &[Number], 1)?;
            Ok(args.remove(0))
        },
    ),
    function(
        "sign",
        "sign(x)",
        "-1.0, 0.0 or 1.0 as the number or interval is negative, zero or positive.",
        "sign(40)",
        "1.0",
        |args, cx| {
            let interval = args.first().is_some_and(|arg| {
                matches!(
                    arg.data_type,
                    DataType::YearMonthInterval | DataType::DayTimeInterval
                )
            });
            let args = cx.take(args, &[if interval { Any } else { Double }], 1)?;
            cx.strict(DataType::Double, args, move |v| {
                if interval {
                    #[allow(clippy::cast_precision_loss)]
                    return Ok(Value::Double(long(&v[0]).signum() as f64));
                }
                let x = double(&v[0]);
                let sign = if x == 0.0 || x.is_nan() {
                    x
                } else {
                    x.signum()
                };
                Ok(Value::Double(sign))
            })
        },
    )
    .aliases(&["signum"]),
    function(
        "ceil",
        "ceil(x[, scale])",
        "The smallest whole number that is not smaller; with a scale the smallest such decimal.",
        "ceil(-0.1)",
        "0",
        |args, cx| whole(args, cx, Rounding::Up, f64::ceil),
    )
    .aliases(&["ceiling"]),
    function(
        "floor",
        "floor(x[, scale])",
        "The largest whole number that is not larger; with a scale the largest such decimal.",
        "floor(-0.1)",
        "-1",
        |args, cx| whole(args, cx, Rounding::Down, f64::floor),
    ),
    function(
        "round",
        "round(x[, scale])",
        "Rounded to so many digits after the point, a half away from zero; a negative scale rounds before the point.",
        "round(2.5, 0)",
        "3",
        |args, cx| round(args, cx, Rounding::HalfUp),
    ),
    function(
        "bround",
        "bround(x[, scale])",
        "Rounded to so many digits after the point, a half to the even digit.",
        "bround(2.5, 0)",
        "2",
        |args, cx| round(args, cx, Rounding::HalfEven),
    ),
    function(
        "rint",
        "rint(x)",
        "The nearest whole number as a DOUBLE, a half to the even one.",
        "rint(12.3456)",
        "12.0",
        |args, cx| {
            let args = cx.take(args, &[Double], 1)?;
            cx.strict(DataType::Double, args, |v| {
                Ok(Value::Double(double(&v[0]).round_ties_even()))
            })
        },
    ),
    function(
        "greatest",
        "greatest(a, b, ...)",
        "The greatest of the arguments, NULLs left out; NaN is greater than any number.",
        "greatest(10, 9, 2, 4, 3)",
        "10",
        |args, cx| extreme(args, cx, Ordering::Greater),
    ),
    function(
        "least",
        "least(a, b, ...)",
        "The least of the arguments, NULLs left out; NaN is greater than any number.",
        "least(10, 9, 2, 4, 3)",
        "2",
        |args, cx| extreme(args, cx, Ordering::Less),
    ),
    function(
        "isnan",
        "isnan(x)",
        "Whether the value is NaN; false for NULL.",
        "isnan(double('NaN'))",
        "true",
        |args, cx| {
            let args = cx.take(args, &[Double], 1)?;
            cx.with_nulls(DataType::Boolean, false, args, |v| {
                Ok(Value::Boolean(match &v[0] {
                    Value::Null => false,
                    number => double(number).is_nan(),
                }))
            })
        },
    ),
    function(
        "nanvl",
        "nanvl(a, b)",
        "b where a is NaN.",
        "nanvl(double('NaN'), 123)",
        "123.0",
        |args, cx| {
            let args = cx.take(args, &[Double, Double], 2)?;
            cx.with_nulls(DataType::Double, true, args, |v| {
                let nan = !v[0].is_null() && double(&v[0]).is_nan();
                Ok(v[usize::from(nan)].clone())
            })
        },
    ),
    function(
        "width_bucket",
        "width_bucket(x, low, high, count)",
        "Which of so many equal buckets between low and high the value is in; 0 and count + 1 are those outside.",
        "width_bucket(5.3, 0.2, 10.6, 5)",
        "3",
        |args, cx| {
            let args = cx.take(args, &[Double, Double, Double, Long], 4)?;
            cx.partial(DataType::BigInt, args, |v| {
                Ok(bucket(
                    double(&v[0]),
                    double(&v[1]),
                    double(&v[2]),
                    long(&v[3]),
                ))
            })
        },
    ),
];

/// A zero of the value's variant.
fn zero(value: &Value) -> Value {
    match value {
        Value::TinyInt(_) => Value::TinyInt(0),
        Value::SmallInt(_) => Value::SmallInt(0),
        Value::Int(_) => Value::Int(0),
        Value::Float(_) => Value::Float(0.0),
        Value::Double(_) => Value::Double(0.0),
        Value::Decimal(_) => Value::Decimal(0.into()),
        Value::YearMonthInterval(_) => Value::YearMonthInterval(0),
        Value::DayTimeInterval(_) => Value::DayTimeInterval(0),
        _ => Value::BigInt(0),
    }
}

/// The value, negated where the test says so. The least integer has no opposite.
fn signed(
    args: Vec<Typed>,
    cx: &BindContext,
    negate: fn(&Value) -> bool,
) -> Result<Typed, JobError> {
    let interval = matches!(
        args.first().map(|arg| &arg.data_type),
        Some(DataType::YearMonthInterval | DataType::DayTimeInterval)
    );
    let args = cx.take(args, &[if interval { Any } else { Number }], 1)?;
    let ansi = cx.settings.ansi;
    cx.strict(args[0].data_type.clone(), args, move |v| {
        let value = &v[0];
        // abs(-0.0) is 0.0, which no comparison with zero would find.
        match value {
            Value::Double(number) if *number == 0.0 && !negate(&Value::Double(1.0)) => {
                return Ok(Value::Double(0.0));
            }
            _ if !negate(value) => return Ok(value.clone()),
            _ => {}
        }
        let overflow = || failed("the result is out of the type's range");
        let opposite = match value {
            Value::TinyInt(n) => n.checked_neg().map(Value::TinyInt),
            Value::SmallInt(n) => n.checked_neg().map(Value::SmallInt),
            Value::Int(n) => n.checked_neg().map(Value::Int),
            Value::BigInt(n) => n.checked_neg().map(Value::BigInt),
            Value::YearMonthInterval(n) => n.checked_neg().map(Value::YearMonthInterval),
            Value::DayTimeInterval(n) => n.checked_neg().map(Value::DayTimeInterval),
            Value::Float(n) => Some(Value::Float(-n)),
            Value::Double(n) => Some(Value::Double(-n)),
            Value::Decimal(n) => Some(Value::Decimal((-i128::from(*n)).into())),
            other => Some(other.clone()),
        };
        match opposite {
            Some(opposite) => Ok(opposite),
            None if ansi || interval => Err(overflow()),
            None => Ok(value.clone()),
        }
    })
}

/// `ceil` and `floor`.
/// The first power of two that does not fit BIGINT.
const LONGS: f64 = 9_223_372_036_854_775_808.0;

fn whole(
    args: Vec<Typed>,
    cx: &BindContext,
    rounding: Rounding,
    of_double: fn(f64) -> f64,
) -> Result<Typed, JobError> {
    let mut args = cx.take(args, &[Number, Int], 1)?;
    if args.len() == 2 {
        let number = args.remove(0);
        let decimal = match &number.data_type {
            DataType::Decimal { .. } => number.data_type.clone(),
            other => decimal_for(other),
        };
        args.insert(0, coerce::cast_implicitly(number, &decimal, cx.settings));
        return round(args, cx, rounding);
    }
    match args[0].data_type {
        DataType::Decimal { precision, scale } => {
            let data_type = DataType::Decimal {
                precision: (precision - scale + 1).min(38),
                scale: 0,
            };
            rounded_decimal(args, cx, scale, data_type, 0, rounding)
        }
        DataType::Float | DataType::Double => {
            let ansi = cx.settings.ansi;
            cx.strict(DataType::BigInt, args, move |v| {
                let rounded = of_double(double(&v[0]));
                if ansi && !(-LONGS..LONGS).contains(&rounded) && !rounded.is_nan() {
                    return Err(failed("overflow: the whole number does not fit BIGINT"));
                }
                // Spark's conversion saturates too.
                #[allow(clippy::cast_possible_truncation)]
                Ok(Value::BigInt(rounded as i64))
            })
        }
        _ => Ok(coerce::cast_implicitly(
            args.remove(0),
            &DataType::BigInt,
            cx.settings,
        )),
    }
}

/// The decimal type that a number of another type becomes.
fn decimal_for(data_type: &DataType) -> DataType {
    let (precision, scale) = match data_type {
        DataType::TinyInt => (3, 0),
        DataType::SmallInt => (5, 0),
        DataType::Int => (10, 0),
        DataType::BigInt => (20, 0),
        DataType::Float => (14, 7),
        _ => (30, 15),
    };
    DataType::Decimal { precision, scale }
}

fn round(args: Vec<Typed>, cx: &BindContext, rounding: Rounding) -> Result<Typed, JobError> {
    let mut args = cx.take(args, &[Number, Int], 1)?;
    let digits = match args.get(1) {
        None => 0,
        Some(scale) => {
            match scale.constant() {
                Some(Value::Null) => {
                    return Ok(Typed::literal(
                        Value::Null,
                        args[0].data_type.clone(),
                        cx.at,
                    ));
                }
                Some(_) => {}
                None => return Err(cx.error("the scale must be a constant")),
            }
            constant_long(scale)
                .and_then(|n| i32::try_from(n).ok())
                .unwrap_or(0)
        }
    };
    args.truncate(1);
    let ansi = cx.settings.ansi;
    match args[0].data_type.clone() {
        DataType::Decimal { precision, scale } => {
            // One more digit before the point: 9.9 becomes 10.
            let before = precision - scale + 1;
            let data_type = match u8::try_from(digits) {
                Ok(kept) => {
                    let kept = kept.min(scale);
                    DataType::Decimal {
                        precision: (before + kept).min(38),
                        scale: kept,
                    }
                }
                Err(_) if digits > 0 => DataType::Decimal {
                    precision: (before + scale).min(38),
                    scale,
                },
                Err(_) => {
                    let needed = u8::try_from(1 - i64::from(digits)).unwrap_or(38);
                    DataType::Decimal {
                        precision: before.max(needed).min(38),
                        scale: 0,
                    }
                }
            };
            rounded_decimal(args, cx, scale, data_type, digits, rounding)
        }
        DataType::Double => cx.strict(DataType::Double, args, move |v| {
            Ok(Value::Double(round_double(double(&v[0]), digits, rounding)))
        }),
        DataType::Float => cx.strict(DataType::Float, args, move |v| {
            #[allow(clippy::cast_possible_truncation)]
            let rounded = round_double(double(&v[0]), digits, rounding) as f32;
            Ok(Value::Float(rounded))
        }),
        data_type => cx.strict(data_type, args, move |v| {
            round_integer(&v[0], digits, rounding, ansi)
        }),
    }
}

fn rounded_decimal(
    args: Vec<Typed>,
    cx: &BindContext,
    from: u8,
    data_type: DataType,
    digits: i32,
    rounding: Rounding,
) -> Result<Typed, JobError> {
    let DataType::Decimal { precision, .. } = data_type else {
        return Err(cx.error("expected a decimal"));
    };
    let ansi = cx.settings.ansi;
    let call = move |v: &[Value]| {
        let number = match &v[0] {
            Value::Decimal(number) => i128::from(*number),
            _ => 0,
        };
        match round_decimal(number, from, digits, rounding).filter(|n| fits(*n, precision)) {
            Some(rounded) => Ok(Value::Decimal(rounded.into())),
            None if ansi => Err(out_of_range(precision)),
            None => Ok(Value::Null),
        }
    };
    if ansi {
        cx.strict(data_type, args, call)
    } else {
        cx.partial(data_type, args, call)
    }
}

fn out_of_range(precision: u8) -> RecordError {
    failed(format!("the result has more than {precision} digits"))
}

fn extreme(args: Vec<Typed>, cx: &BindContext, wanted: Ordering) -> Result<Typed, JobError> {
    let args = cx.take_all(args, Any, 2)?;
    let (args, data_type) = cx.same_type(args)?;
    if matches!(data_type, DataType::Map(_)) {
        return Err(cx.error("MAPs have no order"));
    }
    let nullable = args.iter().all(|arg| arg.nullable);
    cx.with_nulls(data_type, nullable, args, move |v| {
        let mut best = &Value::Null;
        for value in v.iter().filter(|value| !value.is_null()) {
            if best.is_null() || compare(value, best) == wanted {
                best = value;
            }
        }
        Ok(best.clone())
    })
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn bucket(x: f64, low: f64, high: f64, count: i64) -> Value {
    let unusable = count <= 0
        || count == i64::MAX
        || x.is_nan()
        || low == high
        || !low.is_finite()
        || !high.is_finite();
    if unusable {
        return Value::Null;
    }
    let n = count as f64;
    Value::BigInt(if low < high {
        if x < low {
            0
        } else if x >= high {
            count + 1
        } else {
            (n * (x - low) / (high - low)) as i64 + 1
        }
    } else if x > low {
        0
    } else if x <= high {
        count + 1
    } else {
        (n * (low - x) / (low - high)) as i64 + 1
    })
}
