//! `+ - * / % div` over numbers, dates, times and intervals: Spark's result types, and overflow as the mode says.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::Eval;
use crate::expr::body::Outcome;
use crate::expr::coerce::{self, Settings};
use crate::expr::decimal;
use crate::expr::operand::binary;
use crate::expr::time_arithmetic;
use crate::expr::typed::{Arithmetic, Mode, Op, Typed};
use crate::job_error::{JobError, Location};

/// Checks an operation and makes its node.
///
/// # Errors
/// When the operator has no meaning for the two types.
pub fn bind(
    operator: Arithmetic,
    left: Typed,
    right: Typed,
    mode: Mode,
    settings: Settings,
    at: Location,
) -> Result<Typed, JobError> {
    if let Some(time) = time_arithmetic::bind(operator, &left, &right, mode, settings, at) {
        return Ok(time);
    }
    let Some((left_type, right_type)) = number_types(operator, &left, &right, settings.ansi) else {
        return Err(JobError::new(
            at,
            format!(
                "`{}` does not take {} and {}",
                operator.symbol(),
                left.data_type,
                right.data_type
            ),
        )
        .help("it takes two numbers, or a date or time and an interval"));
    };
    let implicit = |typed: Typed, to: &DataType| match mode {
        Mode::Try => coerce::cast(typed, to, Mode::of(settings.ansi), settings, true),
        _ => coerce::cast_implicitly(typed, to, settings),
    };
    let left = implicit(left, &left_type);
    let right = implicit(right, &right_type);
    let data_type = result_type(operator, &left_type, &right_type);
    // A floating or ANSI operation is NULL only when an operand is.
    let can_fail = mode != Mode::Ansi
        && (matches!(data_type, DataType::Decimal { .. })
            || mode == Mode::Try
            || matches!(
                operator,
                Arithmetic::Divide | Arithmetic::Remainder | Arithmetic::IntegralDivide
            ));
    let nullable = left.nullable || right.nullable || can_fail;
    Ok(Typed::node(
        Op::Arithmetic { operator, mode },
        vec![left, right],
        data_type,
        nullable,
        at,
    ))
}

/// The types in which two operands are calculated; decimals keep their own.
fn number_types(
    operator: Arithmetic,
    left: &Typed,
    right: &Typed,
    ansi: bool,
) -> Option<(DataType, DataType)> {
    let (a, b) = operand_types(&left.data_type, &right.data_type, ansi)?;
    let is_decimal = |t: &DataType| matches!(t, DataType::Decimal { .. });
    let floating = |t: &DataType| matches!(t, DataType::Float | DataType::Double);
    if is_decimal(&a) || is_decimal(&b) {
        if floating(&a) || floating(&b) {
            return match operator {
                Arithmetic::IntegralDivide => None,
                _ => Some((DataType::Double, DataType::Double)),
            };
        }
        return Some((exact_decimal(left, &a)?, exact_decimal(right, &b)?));
    }
    let common = match operator {
        Arithmetic::Divide => DataType::Double,
        Arithmetic::IntegralDivide if floating(&a) || floating(&b) => return None,
        Arithmetic::IntegralDivide => DataType::BigInt,
        _ => coerce::wider_number(&a, &b, ansi)?,
    };
    Some((common.clone(), common))
}

/// The number types of both, with texts and bare NULLs given one.
pub fn operand_types(a: &DataType, b: &DataType, ansi: bool) -> Option<(DataType, DataType)> {
    use DataType as T;
    let text = |other: &T| match other {
        T::Void | T::String => T::Double,
        other if ansi && other.is_integer() => T::BigInt,
        _ => T::Double,
    };
    let (a, b) = match (a, b) {
        (T::String, b) => (
            text(b),
            if *b == T::String {
                T::Double
            } else {
                b.clone()
            },
        ),
        (a, T::String) => (a.clone(), text(a)),
        (a, b) => (a.clone(), b.clone()),
    };
    match (&a, &b) {
        (T::Void, T::Void) => Some((T::Double, T::Double)),
        (T::Void, other) if other.is_numeric() => Some((other.clone(), other.clone())),
        (other, T::Void) if other.is_numeric() => Some((other.clone(), other.clone())),
        _ if a.is_numeric() && b.is_numeric() => Some((a, b)),
        _ => None,
    }
}

/// An integer beside a decimal becomes a decimal: a literal of its own digits, anything else of its type's.
fn exact_decimal(typed: &Typed, data_type: &DataType) -> Option<DataType> {
    let (precision, scale) = match (typed.constant(), data_type.is_integer()) {
        // Not a TINYINT: Spark does not count the digits of such a literal.
        (Some(value), true) if typed.written && typed.data_type != DataType::TinyInt => (
            decimal::digits(i128::from(crate::expr::access::long(value))),
            0,
        ),
        _ => coerce::as_decimal(data_type)?,
    };
    Some(DataType::Decimal { precision, scale })
}

fn result_type(operator: Arithmetic, left: &DataType, right: &DataType) -> DataType {
    if operator == Arithmetic::IntegralDivide {
        return DataType::BigInt;
    }
    match (digits_of(left), digits_of(right)) {
        (Some(left), Some(right)) => {
            let (precision, scale) = match operator {
                Arithmetic::Add | Arithmetic::Subtract => decimal::sum_type(left, right),
                Arithmetic::Multiply => decimal::product_type(left, right),
                Arithmetic::Divide => decimal::quotient_type(left, right),
                Arithmetic::Remainder | Arithmetic::IntegralDivide => {
                    decimal::remainder_type(left, right)
                }
            };
            DataType::Decimal { precision, scale }
        }
        _ => left.clone(),
    }
}

fn digits_of(data_type: &DataType) -> Option<(u8, u8)> {
    match data_type {
        DataType::Decimal { precision, scale } => Some((*precision, *scale)),
        _ => None,
    }
}

#[cold]
fn overflow(mode: Mode, operator: Arithmetic, data_type: &str) -> Outcome {
    match mode {
        Mode::Ansi => Err(RecordError::expression(format!(
            "overflow: the result of `{}` does not fit {data_type}",
            operator.symbol()
        ))),
        Mode::Legacy | Mode::Try => Ok(Value::Null),
    }
}

#[cold]
fn by_zero(mode: Mode) -> Outcome {
    match mode {
        Mode::Ansi => Err(RecordError::expression(
            "division by zero; try_divide gives NULL instead",
        )),
        Mode::Legacy | Mode::Try => Ok(Value::Null),
    }
}

/// The evaluator of an arithmetic node.
pub(crate) fn compile(
    operator: Arithmetic,
    mode: Mode,
    left: &Typed,
    right: &Typed,
    node: &Typed,
) -> Box<dyn Eval> {
    match (&left.data_type, &right.data_type) {
        (DataType::Double, DataType::Double) => double(operator, mode, left, right, node.at),
        (DataType::Float, DataType::Float) => float(operator, mode, left, right, node.at),
        (DataType::BigInt, DataType::BigInt) => bigint(operator, mode, left, right, node.at),
        (DataType::Int, DataType::Int) => int(operator, mode, left, right, node.at),
        (DataType::SmallInt, DataType::SmallInt) => smallint(operator, mode, left, right, node.at),
        (DataType::TinyInt, DataType::TinyInt) => tinyint(operator, mode, left, right, node.at),
        _ => decimals(operator, mode, left, right, node),
    }
}

/// Java's remainder of floating numbers is C's; the sign is the dividend's.
fn double(
    operator: Arithmetic,
    mode: Mode,
    left: &Typed,
    right: &Typed,
    at: Location,
) -> Box<dyn Eval> {
    macro_rules! over {
        ($a:ident, $b:ident, $value:expr) => {
            binary(left, right, at, move |a, b| match (a, b) {
                (Value::Double($a), Value::Double($b)) => $value,
                _ => Ok(Value::Null),
            })
        };
    }
    match operator {
        Arithmetic::Add => over!(a, b, Ok(Value::Double(a + b))),
        Arithmetic::Subtract => over!(a, b, Ok(Value::Double(a - b))),
        Arithmetic::Multiply => over!(a, b, Ok(Value::Double(a * b))),
        Arithmetic::Divide | Arithmetic::IntegralDivide => over!(a, b, {
            if *b == 0.0 {
                by_zero(mode)
            } else {
                Ok(Value::Double(a / b))
            }
        }),
        Arithmetic::Remainder => over!(a, b, {
            if *b == 0.0 {
                by_zero(mode)
            } else {
                Ok(Value::Double(a % b))
            }
        }),
    }
}

fn float(
    operator: Arithmetic,
    mode: Mode,
    left: &Typed,
    right: &Typed,
    at: Location,
) -> Box<dyn Eval> {
    binary(left, right, at, move |a, b| match (a, b) {
        (Value::Float(a), Value::Float(b)) => match operator {
            Arithmetic::Add => Ok(Value::Float(a + b)),
            Arithmetic::Subtract => Ok(Value::Float(a - b)),
            Arithmetic::Multiply => Ok(Value::Float(a * b)),
            _ if *b == 0.0 => by_zero(mode),
            Arithmetic::Remainder => Ok(Value::Float(a % b)),
            Arithmetic::Divide | Arithmetic::IntegralDivide => Ok(Value::Float(a / b)),
        },
        _ => Ok(Value::Null),
    })
}

macro_rules! integers {
    ($name:ident, $variant:ident, $type_name:literal) => {
        fn $name(
            operator: Arithmetic,
            mode: Mode,
            left: &Typed,
            right: &Typed,
            at: Location,
        ) -> Box<dyn Eval> {
            macro_rules! checked {
                ($method:ident, $wrapping:ident) => {
                    binary(left, right, at, move |a, b| match (a, b) {
                        (Value::$variant(a), Value::$variant(b)) => match a.$method(*b) {
                            Some(value) => Ok(Value::$variant(value)),
                            None if mode == Mode::Legacy => Ok(Value::$variant(a.$wrapping(*b))),
                            None => overflow(mode, operator, $type_name),
                        },
                        _ => Ok(Value::Null),
                    })
                };
            }
            match operator {
                Arithmetic::Add => checked!(checked_add, wrapping_add),
                Arithmetic::Subtract => checked!(checked_sub, wrapping_sub),
                Arithmetic::Multiply => checked!(checked_mul, wrapping_mul),
                Arithmetic::Remainder => binary(left, right, at, move |a, b| match (a, b) {
                    (Value::$variant(_), Value::$variant(0)) => by_zero(mode),
                    (Value::$variant(a), Value::$variant(b)) => {
                        Ok(Value::$variant(a.wrapping_rem(*b)))
                    }
                    _ => Ok(Value::Null),
                }),
                Arithmetic::Divide | Arithmetic::IntegralDivide => {
                    binary(left, right, at, move |a, b| match (a, b) {
                        (Value::$variant(_), Value::$variant(0)) => by_zero(mode),
                        (Value::$variant(a), Value::$variant(b)) => match a.checked_div(*b) {
                            Some(value) => Ok(Value::$variant(value)),
                            None if mode == Mode::Legacy => Ok(Value::$variant(a.wrapping_div(*b))),
                            None => overflow(mode, operator, $type_name),
                        },
                        _ => Ok(Value::Null),
                    })
                }
            }
        }
    };
}

integers!(bigint, BigInt, "BIGINT");
integers!(int, Int, "INT");
integers!(smallint, SmallInt, "SMALLINT");
integers!(tinyint, TinyInt, "TINYINT");

fn decimals(
    operator: Arithmetic,
    mode: Mode,
    left: &Typed,
    right: &Typed,
    node: &Typed,
) -> Box<dyn Eval> {
    let scale_of = |typed: &Typed| digits_of(&typed.data_type).map_or(0, |(_, scale)| scale);
    let (left_scale, right_scale) = (scale_of(left), scale_of(right));
    let (precision, scale) = digits_of(&node.data_type).unwrap_or((decimal::MAX_PRECISION, 0));
    let shown = node.data_type.to_string();
    binary(left, right, node.at, move |a, b| {
        let (Value::Decimal(a), Value::Decimal(b)) = (a, b) else {
            return Ok(Value::Null);
        };
        let a = (i128::from(*a), left_scale);
        let b = (i128::from(*b), right_scale);
        let divides = matches!(
            operator,
            Arithmetic::Divide | Arithmetic::Remainder | Arithmetic::IntegralDivide
        );
        if divides && b.0 == 0 {
            return by_zero(mode);
        }
        let result = match operator {
            Arithmetic::Add => decimal::add(a, b, precision, scale),
            Arithmetic::Subtract => decimal::add(a, (-b.0, b.1), precision, scale),
            Arithmetic::Multiply => decimal::multiply(a, b, precision, scale),
            Arithmetic::Divide => decimal::divide(a, b, precision, scale),
            Arithmetic::Remainder => decimal::remainder(a, b, precision, scale),
            Arithmetic::IntegralDivide => {
                return match decimal::integral_quotient(a, b) {
                    Some(quotient) => match i64::try_from(quotient) {
                        Ok(quotient) => Ok(Value::BigInt(quotient)),
                        // Without ansi a quotient beyond BIGINT wraps, as every integer does.
                        Err(_) if mode == Mode::Legacy => Ok(Value::BigInt(quotient as i64)),
                        Err(_) => overflow(mode, operator, "BIGINT"),
                    },
                    None => overflow(mode, operator, "BIGINT"),
                };
            }
        };
        match result {
            Some(unscaled) => Ok(Value::Decimal(unscaled.into())),
            None => overflow(mode, operator, &shown),
        }
    })
}
