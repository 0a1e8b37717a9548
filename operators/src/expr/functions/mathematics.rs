//! Functions of real numbers: powers, logarithms, angles.

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::Double;
use super::{Function, function};
use crate::expr::access::double;

/// A function of one DOUBLE that always has an answer.
macro_rules! real {
    ($name:literal, $about:literal, $example:literal, $result:literal, $call:expr) => {
        function(
            $name,
            concat!($name, "(x)"),
            $about,
            $example,
            $result,
            |args, cx| {
                let args = cx.take(args, &[Double], 1)?;
                cx.strict(DataType::Double, args, |v| {
                    let call: fn(f64) -> f64 = $call;
                    Ok(Value::Double(call(double(&v[0]))))
                })
            },
        )
    };
}

/// A function of one DOUBLE that is NULL up to a bound.
macro_rules! logarithm {
    ($name:literal, $about:literal, $example:literal, $result:literal, $bound:literal, $call:expr) => {
        function(
            $name,
            concat!($name, "(x)"),
            $about,
            $example,
            $result,
            |args, cx| {
                let args = cx.take(args, &[Double], 1)?;
                cx.partial(DataType::Double, args, |v| {
                    let call: fn(f64) -> f64 = $call;
                    let x = double(&v[0]);
                    Ok(if x <= $bound {
                        Value::Null
                    } else {
                        Value::Double(call(x))
                    })
                })
            },
        )
    };
}

/// A function of two DOUBLEs.
macro_rules! real_of_two {
    ($name:literal, $about:literal, $example:literal, $result:literal, $call:expr) => {
        function(
            $name,
            concat!($name, "(x, y)"),
            $about,
            $example,
            $result,
            |args, cx| {
                let args = cx.take(args, &[Double, Double], 2)?;
                cx.strict(DataType::Double, args, |v| {
                    let call: fn(f64, f64) -> f64 = $call;
                    Ok(Value::Double(call(double(&v[0]), double(&v[1]))))
                })
            },
        )
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    real!(
        "sqrt",
        "The square root; NaN for a negative number.",
        "sqrt(4)",
        "2.0",
        f64::sqrt
    ),
    real!("cbrt", "The cube root.", "cbrt(27.0)", "3.0", f64::cbrt),
    real!("exp", "e to the power of x.", "exp(0)", "1.0", f64::exp),
    real!(
        "expm1",
        "exp(x) - 1, exact near zero.",
        "expm1(0)",
        "0.0",
        f64::exp_m1
    ),
    logarithm!(
        "ln",
        "The natural logarithm; NULL up to 0.",
        "ln(1)",
        "0.0",
        0.0,
        f64::ln
    ),
    logarithm!(
        "log10",
        "The logarithm to base 10; NULL up to 0.",
        "log10(10)",
        "1.0",
        0.0,
        f64::log10
    ),
    logarithm!(
        "log2",
        "The logarithm to base 2; NULL up to 0.",
        "log2(2)",
        "1.0",
        0.0,
        |x| x.ln() / std::f64::consts::LN_2
    ),
    logarithm!(
        "log1p",
        "ln(1 + x), exact near zero; NULL up to -1.",
        "log1p(0)",
        "0.0",
        -1.0,
        f64::ln_1p
    ),
    function(
        "log",
        "log([base, ]x)",
        "The logarithm, natural or to a base; NULL where one of them is not positive.",
        "log(10, 100)",
        "2.0",
        |args, cx| {
            let args = cx.take(args, &[Double, Double], 1)?;
            cx.partial(DataType::Double, args, |v| {
                if v.iter().any(|x| double(x) <= 0.0) {
                    return Ok(Value::Null);
                }
                let first = double(&v[0]).ln();
                Ok(Value::Double(match v.get(1) {
                    Some(x) => double(x).ln() / first,
                    None => first,
                }))
            })
        },
    ),
    real_of_two!(
        "power",
        "x to the power of y.",
        "power(2, 3)",
        "8.0",
        |x, y| {
            // As Java: one to the power of what is no number, or of an infinity, is none.
            if x.abs() == 1.0 && !y.is_finite() || y.is_nan() {
                f64::NAN
            } else {
                x.powf(y)
            }
        }
    )
    .aliases(&["pow"]),
    real_of_two!(
        "hypot",
        "The square root of x² + y².",
        "hypot(3, 4)",
        "5.0",
        f64::hypot
    ),
    real_of_two!(
        "atan2",
        "The angle of the point with x-coordinate y and y-coordinate x.",
        "atan2(0, 3)",
        "0.0",
        |y, x| {
            // As Spark: -0.0 becomes 0.0.
            (y + 0.0).atan2(x + 0.0)
        }
    ),
    function(
        "pi",
        "pi()",
        "The circle's circumference over its diameter.",
        "pi()",
        "3.141592653589793",
        |args, cx| {
            let args = cx.take(args, &[], 0)?;
            cx.strict(DataType::Double, args, |_| {
                Ok(Value::Double(std::f64::consts::PI))
            })
        },
    ),
    function(
        "e",
        "e()",
        "The base of the natural logarithm.",
        "e()",
        "2.718281828459045",
        |args, cx| {
            let args = cx.take(args, &[], 0)?;
            cx.strict(DataType::Double, args, |_| {
                Ok(Value::Double(std::f64::consts::E))
            })
        },
    ),
    real!(
        "sin",
        "The sine of an angle in radians.",
        "sin(0)",
        "0.0",
        f64::sin
    ),
    real!(
        "cos",
        "The cosine of an angle in radians.",
        "cos(0)",
        "1.0",
        f64::cos
    ),
    real!(
        "tan",
        "The tangent of an angle in radians.",
        "tan(0)",
        "0.0",
        f64::tan
    ),
    real!(
        "cot",
        "The cotangent of an angle in radians.",
        "round(cot(1), 6)",
        "0.642093",
        |x| 1.0 / x.tan()
    ),
    real!(
        "sec",
        "The secant of an angle in radians.",
        "sec(0)",
        "1.0",
        |x| 1.0 / x.cos()
    ),
    real!(
        "csc",
        "The cosecant of an angle in radians.",
        "round(csc(1), 6)",
        "1.188395",
        |x| 1.0 / x.sin()
    ),
    real!("asin", "The angle of a sine.", "asin(0)", "0.0", f64::asin),
    real!(
        "acos",
        "The angle of a cosine.",
        "acos(1)",
        "0.0",
        f64::acos
    ),
    real!(
        "atan",
        "The angle of a tangent.",
        "atan(0)",
        "0.0",
        f64::atan
    ),
    real!("sinh", "The hyperbolic sine.", "sinh(0)", "0.0", f64::sinh),
    real!(
        "cosh",
        "The hyperbolic cosine.",
        "cosh(0)",
        "1.0",
        f64::cosh
    ),
    real!(
        "tanh",
        "The hyperbolic tangent.",
        "tanh(0)",
        "0.0",
        f64::tanh
    ),
    real!(
        "asinh",
        "The inverse of the hyperbolic sine.",
        "asinh(0)",
        "0.0",
        |x| {
            let size = x.abs();
            (size + (size * size + 1.0).sqrt()).ln().copysign(x)
        }
    ),
    real!(
        "acosh",
        "The inverse of the hyperbolic cosine.",
        "acosh(1)",
        "0.0",
        |x| { (x + (x * x - 1.0).sqrt()).ln() }
    ),
    real!(
        "atanh",
        "The inverse of the hyperbolic tangent.",
        "atanh(0)",
        "0.0",
        |x| { 0.5 * (x.ln_1p() - (-x).ln_1p()) }
    ),
    real!(
        "degrees",
        "Radians as degrees.",
        "degrees(3.141592653589793)",
        "180.0",
        f64::to_degrees
    ),
    real!(
        "radians",
        "Degrees as radians.",
        "radians(180)",
        "3.141592653589793",
        f64::to_radians
    ),
];
