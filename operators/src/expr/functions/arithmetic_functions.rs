//! Arithmetic by name: remainders, and the family that gives NULL instead of an error.

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::Number;
use super::forms::{error_or_null, failed};
use super::{BindContext, Function, function};
use crate::expr::access::{double, long, unscaled};
use crate::expr::arithmetic;
use crate::expr::body::Outcome;
use crate::expr::coerce;
use crate::expr::decimal;
use crate::expr::typed::{Arithmetic, Mode, Typed};
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "mod",
        "mod(a, b)",
        "The remainder of a / b, with the sign of a; as a % b.",
        "mod(2, 1.8)",
        "0.2",
        |args, cx| operation(args, cx, Arithmetic::Remainder, cx.mode()),
    ),
    function(
        "pmod",
        "pmod(a, b)",
        "The remainder of a / b that is not negative where b is positive.",
        "pmod(-10, 3)",
        "2",
        pmod,
    ),
    function(
        "try_add",
        "try_add(a, b)",
        "a + b; NULL on overflow. Also a date or time and an interval.",
        "try_add(2147483647, 1)",
        "NULL",
        |args, cx| operation(args, cx, Arithmetic::Add, Mode::Try),
    ),
    function(
        "try_subtract",
        "try_subtract(a, b)",
        "a - b; NULL on overflow. Also a date or time and an interval.",
        "try_subtract(-2147483648, 1)",
        "NULL",
        |args, cx| operation(args, cx, Arithmetic::Subtract, Mode::Try),
    ),
    function(
        "try_multiply",
        "try_multiply(a, b)",
        "a * b; NULL on overflow.",
        "try_multiply(2, 3)",
        "6",
        |args, cx| operation(args, cx, Arithmetic::Multiply, Mode::Try),
    ),
    function(
        "try_divide",
        "try_divide(a, b)",
        "a / b; NULL where b is 0.",
        "try_divide(1, 0)",
        "NULL",
        |args, cx| operation(args, cx, Arithmetic::Divide, Mode::Try),
    ),
    function(
        "try_mod",
        "try_mod(a, b)",
        "a % b; NULL where b is 0.",
        "try_mod(3, 0)",
        "NULL",
        |args, cx| operation(args, cx, Arithmetic::Remainder, Mode::Try),
    ),
];

fn operation(
    args: Vec<Typed>,
    cx: &BindContext,
    operator: Arithmetic,
    mode: Mode,
) -> Result<Typed, JobError> {
    match <[Typed; 2]>::try_from(args) {
        Ok([left, right]) => arithmetic::bind(operator, left, right, mode, cx.settings, cx.at),
        Err(args) => Err(cx.error(format!("expected 2 arguments, got {}", args.len()))),
    }
}

fn pmod(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let mut args = args;
    if let [a, b] = &mut args[..]
        && let Some(types) = arithmetic::operand_types(&a.data_type, &b.data_type, cx.settings.ansi)
    {
        // A text beside a whole number is one too.
        for (arg, to) in [(a, &types.0), (b, &types.1)] {
            *arg = coerce::cast_implicitly(arg.clone(), to, cx.settings);
        }
    }
    let args = cx.take(args, &[Number, Number], 2)?;
    let types = (
        coerce::as_decimal(&args[0].data_type),
        coerce::as_decimal(&args[1].data_type),
    );
    let (args, common) = cx.same_type(args)?;
    let ansi = cx.settings.ansi;
    let (data_type, rescale) = match (&common, types) {
        (DataType::Decimal { scale, .. }, (Some(left), Some(right))) => {
            let (precision, kept) = decimal::remainder_type(left, right);
            let result = DataType::Decimal {
                precision,
                scale: kept,
            };
            (result, Some((*scale, kept, precision)))
        }
        _ => (common.clone(), None),
    };
    let call = move |v: &[Value]| {
        let remainder = match rescale {
            Some((from, to, precision)) => decimal_remainder(&v[0], &v[1], (from, to, precision)),
            None => number_remainder(&v[0], &v[1]),
        };
        match remainder {
            Some(outcome) => outcome,
            None => error_or_null(ansi, || "division by zero; try_mod gives NULL".to_owned()),
        }
    };
    if ansi {
        cx.strict(data_type, args, call)
    } else {
        cx.partial(data_type, args, call)
    }
}

/// None for a divisor of 0.
fn decimal_remainder(a: &Value, b: &Value, (from, to, precision): (u8, u8, u8)) -> Option<Outcome> {
    let (a, b) = (unscaled(a), unscaled(b));
    let mut rest = a.checked_rem(b)?;
    if rest < 0 {
        rest = (rest + b) % b;
    }
    let rest = decimal::rescale(rest, from, to).filter(|rest| decimal::fits(*rest, precision));
    Some(match rest {
        Some(rest) => Ok(Value::Decimal(rest.into())),
        None => Err(failed("the remainder has too many digits")),
    })
}

/// None for a divisor of 0.
fn number_remainder(a: &Value, b: &Value) -> Option<Outcome> {
    if let Value::Double(_) | Value::Float(_) = a {
        let (x, y) = (double(a), double(b));
        if y == 0.0 {
            return None;
        }
        let rest = x % y;
        let rest = if rest < 0.0 { (rest + y) % y } else { rest };
        #[allow(clippy::cast_possible_truncation)]
        return Some(Ok(match a {
            Value::Float(_) => Value::Float(rest as f32),
            _ => Value::Double(rest),
        }));
    }
    let (x, y) = (i128::from(long(a)), i128::from(long(b)));
    let mut rest = x.checked_rem(y)?;
    if rest < 0 {
        rest = (rest + y) % y;
    }
    // Smaller than the divisor, so that it fits its type.
    let rest = i64::try_from(rest).unwrap_or(0);
    #[allow(clippy::cast_possible_truncation)]
    Some(Ok(match a {
        Value::TinyInt(_) => Value::TinyInt(rest as i8),
        Value::SmallInt(_) => Value::SmallInt(rest as i16),
        Value::Int(_) => Value::Int(rest as i32),
        _ => Value::BigInt(rest),
    }))
}
