//! Rounding as Spark's `round`, `bround`, `ceil` and `floor` do it: on decimal digits, never on binary fractions.

use thalweg_engine::row::Value;

use super::forms::failed;
use crate::expr::body::Outcome;
use crate::expr::decimal::pow10;
use crate::expr::text::{append_decimal, append_double};

/// Where a number between two neighbours goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    /// To the nearest, a half away from zero.
    HalfUp,
    /// To the nearest, a half to the even one.
    HalfEven,
    /// To the greater.
    Up,
    /// To the smaller.
    Down,
}

/// `number / 10^digits`, rounded.
pub(super) fn divide(number: i128, digits: u32, rounding: Rounding) -> i128 {
    let Some(divisor) = u8::try_from(digits).ok().filter(|d| *d <= 38).map(pow10) else {
        // Less than half of the divisor, whatever the number.
        return match rounding {
            Rounding::Up => i128::from(number > 0),
            Rounding::Down => -i128::from(number < 0),
            Rounding::HalfUp | Rounding::HalfEven => 0,
        };
    };
    let (quotient, rest) = (number / divisor, number % divisor);
    if rest == 0 {
        return quotient;
    }
    let sign = if number < 0 { -1 } else { 1 };
    let magnitude = rest.unsigned_abs();
    let half = magnitude.cmp(&(divisor.unsigned_abs() - magnitude));
    let away = match rounding {
        Rounding::HalfUp => half.is_ge(),
        Rounding::HalfEven => half.is_gt() || half.is_eq() && quotient % 2 != 0,
        Rounding::Up => sign > 0,
        Rounding::Down => sign < 0,
    };
    quotient + if away { sign } else { 0 }
}

/// The decimal with `digits` digits after the point (not more than it has), unscaled; with negative digits a number of
/// scale 0. None on overflow of 38 digits.
pub(super) fn round_decimal(
    unscaled: i128,
    scale: u8,
    digits: i32,
    rounding: Rounding,
) -> Option<i128> {
    let dropped = i64::from(scale) - i64::from(digits);
    let Ok(dropped) = u32::try_from(dropped) else {
        return Some(unscaled);
    };
    let rounded = divide(unscaled, dropped, rounding);
    match u8::try_from(-i64::from(digits)) {
        Ok(zeros) if zeros <= 38 => rounded.checked_mul(pow10(zeros)),
        Ok(_) => (rounded == 0).then_some(0),
        Err(_) if digits > 0 => Some(rounded),
        Err(_) => (rounded == 0).then_some(0),
    }
}

/// An integer rounded before the point; `digits` above zero leave it as it is.
pub(super) fn round_integer(value: &Value, digits: i32, rounding: Rounding, ansi: bool) -> Outcome {
    if digits >= 0 {
        return Ok(value.clone());
    }
    let number = i128::from(crate::expr::access::long(value));
    let rounded = round_decimal(number, 0, digits, rounding).unwrap_or(0);
    let narrow = |fits: bool, value: Value| {
        if fits || !ansi {
            Ok(value)
        } else {
            Err(failed("the rounded number is out of the type's range"))
        }
    };
    #[allow(clippy::cast_possible_truncation)]
    match value {
        Value::TinyInt(_) => narrow(i8::try_from(rounded).is_ok(), Value::TinyInt(rounded as i8)),
        Value::SmallInt(_) => narrow(
            i16::try_from(rounded).is_ok(),
            Value::SmallInt(rounded as i16),
        ),
        Value::Int(_) => narrow(i32::try_from(rounded).is_ok(), Value::Int(rounded as i32)),
        _ => narrow(
            i64::try_from(rounded).is_ok(),
            Value::BigInt(rounded as i64),
        ),
    }
}

/// A DOUBLE rounded on its shortest decimal digits, as Java writes it: 1.005 to 2 digits is 1.01.
pub(super) fn round_double(number: f64, digits: i32, rounding: Rounding) -> f64 {
    if !number.is_finite() {
        return number;
    }
    // Decimal digits know no negative zero.
    if number == 0.0 {
        return 0.0;
    }
    let (unscaled, exponent) = shortest(number);
    // number = unscaled * 10^exponent
    let dropped = -i64::from(exponent) - i64::from(digits);
    let Ok(dropped @ 1..) = u32::try_from(dropped) else {
        return number;
    };
    let rounded = divide(i128::from(unscaled), dropped, rounding);
    scaled(rounded, -i64::from(digits))
}

/// Appends a DOUBLE with so many digits after the point, a half away from zero, on its shortest decimal digits.
pub(super) fn append_fixed(out: &mut String, number: f64, precision: usize) {
    if !number.is_finite() {
        append_double(out, number);
        return;
    }
    let (unscaled, exponent) = shortest(number);
    if number.is_sign_negative() && unscaled == 0 {
        out.push('-');
    }
    let kept = usize::try_from(-i64::from(exponent)).unwrap_or(0);
    if kept > precision {
        let dropped = u32::try_from(kept - precision).unwrap_or(u32::MAX);
        let rounded = divide(i128::from(unscaled), dropped, Rounding::HalfUp);
        if rounded == 0 && number.is_sign_negative() && unscaled != 0 {
            out.push('-');
        }
        append_decimal(out, rounded, u8::try_from(precision).unwrap_or(u8::MAX));
        return;
    }
    append_decimal(
        out,
        i128::from(unscaled),
        u8::try_from(kept).unwrap_or(u8::MAX),
    );
    let zeros = usize::try_from(exponent).unwrap_or(0);
    out.extend(std::iter::repeat_n('0', zeros));
    if kept == 0 && precision > 0 {
        out.push('.');
    }
    out.extend(std::iter::repeat_n('0', precision - kept));
}

/// The shortest decimal digits that mean the number, and the power of ten they are multiplied with.
fn shortest(number: f64) -> (i64, i32) {
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(number);
    let (mut unscaled, mut exponent, mut after_point) = (0_i64, 0_i32, false);
    let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
    for byte in mantissa.bytes() {
        match byte {
            b'.' => after_point = true,
            b'0'..=b'9' => {
                unscaled = unscaled * 10 + i64::from(byte - b'0');
                exponent -= i32::from(after_point);
            }
            _ => {}
        }
    }
    exponent += power.parse::<i32>().unwrap_or(0);
    (if number < 0.0 { -unscaled } else { unscaled }, exponent)
}

/// `number * 10^power` as the nearest DOUBLE.
#[allow(clippy::cast_precision_loss)]
fn scaled(number: i128, power: i64) -> f64 {
    const EXACT: [f64; 23] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
        1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ];
    // Both factors are exact, so that one division or multiplication rounds once.
    if number.unsigned_abs() < 1 << 53
        && let Ok(place) = usize::try_from(power.unsigned_abs())
        && let Some(factor) = EXACT.get(place)
    {
        let number = number as f64;
        return if power < 0 {
            number / factor
        } else {
            number * factor
        };
    }
    format!("{number}e{power}").parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_double_is_rounded_as_it_is_written() {
        for (number, digits, expected) in [
            (1.005, 2, 1.01),
            (2.5, 0, 3.0),
            (-2.5, 0, -3.0),
            (0.2, 0, 0.0),
            (1234.5678, -2, 1200.0),
            (1e300, 2, 1e300),
            (1e-300, 2, 0.0),
            (49.9, -2, 0.0),
            (123_456_789.987_654_3, 6, 123_456_789.987_654),
        ] {
            let rounded = round_double(number, digits, Rounding::HalfUp);
            assert_eq!(rounded, expected, "{number} {digits}");
        }
        assert_eq!(round_double(2.5, 0, Rounding::HalfEven), 2.0);
        assert_eq!(round_double(0.125, 2, Rounding::HalfEven), 0.12);
    }

    #[test]
    fn an_integer_that_rounds_out_of_its_range_is_an_error_or_wraps() {
        let round = |ansi| round_integer(&Value::TinyInt(127), -1, Rounding::HalfUp, ansi);
        assert!(round(true).is_err());
        assert_eq!(round(false), Ok(Value::TinyInt(-126)));
    }
}
