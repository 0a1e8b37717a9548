//! Numbers: from text, and from one type to another.

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::access;
use crate::expr::decimal;

/// `t`, `true`, `y`, `yes`, `1` and their opposites, in any case.
pub fn parse_boolean(text: &str) -> Option<bool> {
    let is = |words: [&str; 5]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(["true", "t", "yes", "y", "1"]) {
        Some(true)
    } else if is(["false", "f", "no", "n", "0"]) {
        Some(false)
    } else {
        None
    }
}

/// A whole number with an optional sign; `lenient` also takes digits after a point and cuts them, as Spark does without
/// ansi.
pub fn parse_integer(text: &str, lenient: bool) -> Option<i64> {
    let text = match text.split_once('.') {
        Some((whole, fraction))
            if lenient && fraction.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() =>
        {
            // `.5` is 0, `.` alone is nothing.
            if whole.is_empty() || whole == "-" || whole == "+" {
                return (!fraction.is_empty()).then_some(0);
            }
            whole
        }
        _ => text,
    };
    text.parse().ok()
}

/// A DOUBLE that is some digits, with a minus before them and a point among them where there are; None for what is written
/// in another way, or has so many digits that it must be rounded with care.
#[inline]
pub fn plain_double(text: &str) -> Option<f64> {
    const POWERS: [f64; 16] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    ];
    let (negative, unsigned) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        all => (false, all),
    };
    // So many digits are an exact number, and so is the power of ten: the one division rounds as it must.
    if unsigned.len() > 16 || !unsigned.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let (mut digits, mut point) = (0_u64, None);
    for (place, byte) in unsigned.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits = digits * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(place),
            _ => return None,
        }
    }
    if point.is_none() && unsigned.len() > 15 {
        return None;
    }
    let after = point.map_or(0, |place| unsigned.len() - place - 1);
    #[allow(clippy::cast_precision_loss)]
    let number = digits as f64 / POWERS.get(after)?;
    Some(if negative { -number } else { number })
}

/// A DOUBLE as Java reads it: with exponent, `Infinity`, `NaN`, or a `d` or `f` at the end.
pub fn parse_double(text: &str) -> Option<f64> {
    plain_double(text).or_else(|| java_float(text)?.parse().ok())
}

/// A FLOAT as Java reads it.
pub fn parse_float(text: &str) -> Option<f32> {
    java_float(text)?.parse().ok()
}

fn java_float(text: &str) -> Option<&str> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if ["nan", "inf", "infinity"]
        .iter()
        .any(|word| unsigned.eq_ignore_ascii_case(word))
    {
        return Some(text);
    }
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let plain = number
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    (plain && number.bytes().any(|b| b.is_ascii_digit())).then_some(number)
}

/// A number with optional sign, point and exponent as a decimal, rounded HALF_UP; None when it is none or too great.
pub fn parse_decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let exponent: i32 = exponent.parse().ok()?;
            (mantissa, exponent.clamp(-100_000, 100_000))
        }
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    if !whole
        .bytes()
        .chain(fraction.bytes())
        .all(|b| b.is_ascii_digit())
    {
        return None;
    }
    // How many of the digits stand before the rounding.
    let kept = i64::try_from(whole.len()).ok()? + i64::from(exponent) + i64::from(scale);
    let mut number: i128 = 0;
    let mut seen: i64 = 0;
    let mut round_up = false;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if seen < kept {
            number = number
                .checked_mul(10)?
                .checked_add(i128::from(digit - b'0'))?;
            if !decimal::fits(number, decimal::MAX_PRECISION) {
                return None;
            }
        } else if seen == kept {
            round_up = digit >= b'5';
            break;
        }
        seen += 1;
    }
    while seen < kept && number != 0 {
        number = number.checked_mul(10)?;
        if !decimal::fits(number, decimal::MAX_PRECISION) {
            return None;
        }
        seen += 1;
    }
    number += i128::from(round_up);
    let number = if negative { -number } else { number };
    decimal::fits(number, precision).then_some(number)
}

/// A floating number as a BIGINT without its fraction; None out of range and for NaN, or Java's nearest when `lenient`.
pub fn truncate_to_long(number: f64, lenient: bool) -> Option<i64> {
    if lenient {
        return Some(number as i64);
    }
    // 2^63 is a double, i64::MAX is not: the comparison is exact.
    let limit = 9_223_372_036_854_775_808.0;
    (number.floor() < limit && number.ceil() >= -limit).then_some(number as i64)
}

/// A decimal as the nearest DOUBLE.
pub fn decimal_to_double(unscaled: i128, scale: u8) -> f64 {
    const EXACT: u128 = 1 << 53;
    if unscaled.unsigned_abs() <= EXACT && scale <= 22 {
        // Both are exact, so the one division rounds correctly.
        return unscaled as f64 / decimal::pow10(scale) as f64;
    }
    let mut text = String::with_capacity(48);
    crate::expr::text::append_decimal(&mut text, unscaled, scale);
    text.parse().unwrap_or(f64::NAN)
}

/// A number or BOOLEAN as another; None when it does not fit. `lenient` wraps integers and narrows floating numbers as
/// Java does; decimals must fit in any case.
pub fn convert(value: &Value, from: &DataType, to: &DataType, lenient: bool) -> Option<Value> {
    match value {
        Value::Boolean(value) => integer_to(i64::from(*value), to, lenient),
        Value::Double(number) => double_to(*number, to, lenient),
        Value::Float(number) => match to {
            DataType::Float => Some(value.clone()),
            _ => double_to(f64::from(*number), to, lenient),
        },
        Value::Decimal(number) => {
            let scale = match from {
                DataType::Decimal { scale, .. } => *scale,
                _ => 0,
            };
            decimal_to(i128::from(*number), scale, to, lenient)
        }
        other => integer_to(access::long(other), to, lenient),
    }
}

fn integer_to(number: i64, to: &DataType, lenient: bool) -> Option<Value> {
    Some(match to {
        DataType::Boolean => Value::Boolean(number != 0),
        DataType::TinyInt if lenient => Value::TinyInt(number as i8),
        DataType::SmallInt if lenient => Value::SmallInt(number as i16),
        DataType::Int if lenient => Value::Int(number as i32),
        DataType::TinyInt => Value::TinyInt(number.try_into().ok()?),
        DataType::SmallInt => Value::SmallInt(number.try_into().ok()?),
        DataType::Int => Value::Int(number.try_into().ok()?),
        DataType::BigInt => Value::BigInt(number),
        DataType::Float => Value::Float(number as f32),
        DataType::Double => Value::Double(number as f64),
        DataType::Decimal { precision, scale } => {
            let unscaled = decimal::rescale(i128::from(number), 0, *scale)?;
            decimal::fits(unscaled, *precision).then_some(Value::Decimal(unscaled.into()))?
        }
        _ => return None,
    })
}

fn double_to(number: f64, to: &DataType, lenient: bool) -> Option<Value> {
    Some(match to {
        DataType::Boolean => Value::Boolean(number != 0.0),
        DataType::Double => Value::Double(number),
        DataType::Float => Value::Float(number as f32),
        DataType::BigInt => Value::BigInt(truncate_to_long(number, lenient)?),
        // Java goes through INT: it saturates there and wraps below.
        DataType::TinyInt if lenient => Value::TinyInt(number as i32 as i8),
        DataType::SmallInt if lenient => Value::SmallInt(number as i32 as i16),
        DataType::Int if lenient => Value::Int(number as i32),
        DataType::TinyInt | DataType::SmallInt | DataType::Int => {
            integer_to(truncate_to_long(number, false)?, to, false)?
        }
        DataType::Decimal { precision, scale } => {
            if !number.is_finite() {
                return None;
            }
            let mut buffer = ryu::Buffer::new();
            let unscaled = parse_decimal(buffer.format_finite(number), *precision, *scale)?;
            Value::Decimal(unscaled.into())
        }
        _ => return None,
    })
}

fn decimal_to(unscaled: i128, from: u8, to: &DataType, lenient: bool) -> Option<Value> {
    Some(match to {
        DataType::Boolean => Value::Boolean(unscaled != 0),
        DataType::Double => Value::Double(decimal_to_double(unscaled, from)),
        DataType::Float => Value::Float(decimal_to_double(unscaled, from) as f32),
        DataType::Decimal { precision, scale } => {
            let rescaled = decimal::rescale(unscaled, from, *scale)?;
            decimal::fits(rescaled, *precision).then_some(Value::Decimal(rescaled.into()))?
        }
        _ => {
            let whole = unscaled / decimal::pow10(from);
            let long = if lenient {
                whole as i64
            } else {
                i64::try_from(whole).ok()?
            };
            integer_to(long, to, lenient)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly_and_rounded_half_up() {
        let read = |text| parse_decimal(text, 10, 2);
        assert_eq!(read("1.005"), Some(101));
        assert_eq!(read("-1.005"), Some(-101));
        assert_eq!(read("1.0049999"), Some(100));
        assert_eq!(read("1e3"), Some(100_000));
        assert_eq!(read("12345e-4"), Some(123));
        assert_eq!(read(".5"), Some(50));
        assert_eq!(read("5."), Some(500));
        assert_eq!(read("1e-99"), Some(0));
        assert_eq!(read("0e99999999"), Some(0));
        assert_eq!(read("99999999.995"), None);
        for wrong in ["", ".", "-", "1.2.3", "1e", "e1", "0x1", "1_0"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn doubles_are_read_as_java_reads_them() {
        assert_eq!(parse_double("1.5d"), Some(1.5));
        for plain in [
            "0",
            "-0",
            "-0.0",
            "7",
            "007.50",
            "1.",
            "123456789012345",
            "0.000000000000001",
            "-1234567.890123",
            "99999999999999.9",
            "0.1",
            "2.675",
            "1234567890123456789",
            "0.30000000000000004",
            "9007199254740993",
        ] {
            let exact: f64 = plain.parse().unwrap();
            let read = parse_double(plain).map(f64::to_bits);
            assert_eq!(read, Some(exact.to_bits()), "{plain}");
        }
        assert_eq!(parse_double("-Infinity"), Some(f64::NEG_INFINITY));
        assert!(parse_double("NaN").unwrap().is_nan());
        assert_eq!(parse_double("1e400"), Some(f64::INFINITY));
        for wrong in ["", "abc", "1,5", "0x10", "d", "1.5.2"] {
            assert_eq!(parse_double(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_greatest_bigint_is_the_limit_for_doubles() {
        assert_eq!(truncate_to_long(9.3e18, false), None);
        assert_eq!(
            truncate_to_long(-9_223_372_036_854_775_808.0, false),
            Some(i64::MIN)
        );
        assert_eq!(truncate_to_long(f64::NAN, false), None);
        assert_eq!(truncate_to_long(-1.9, false), Some(-1));
    }
}
