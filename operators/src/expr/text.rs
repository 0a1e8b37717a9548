//! Values as Spark's text, and Spark's text as dates and times.

use std::fmt::Write;

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::calendar::{self, MICROS_PER_DAY, MICROS_PER_SECOND, Zone};

/// Appends a value as `CAST(value AS STRING)` gives it; NULL inside another value is `null`.
pub fn append(out: &mut String, value: &Value, data_type: &DataType, zone: Zone) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::TinyInt(number) => append_integer(out, i64::from(*number)),
        Value::SmallInt(number) => append_integer(out, i64::from(*number)),
        Value::Int(number) => append_integer(out, i64::from(*number)),
        Value::BigInt(number) => append_integer(out, *number),
        Value::Float(number) => append_float(out, *number),
        Value::Double(number) => append_double(out, *number),
        Value::Decimal(number) => {
            let scale = match data_type {
                DataType::Decimal { scale, .. } => *scale,
                _ => 0,
            };
            append_decimal(out, i128::from(*number), scale);
        }
        Value::String(text) => out.push_str(text),
        Value::Binary(bytes) => out.push_str(&String::from_utf8_lossy(bytes)),
        Value::Date(days) => append_date(out, *days),
        Value::Timestamp(micros) => append_timestamp(out, *micros, zone),
        Value::TimestampNtz(micros) => append_local(out, *micros, ' '),
        Value::YearMonthInterval(months) => append_months(out, *months),
        Value::DayTimeInterval(micros) => append_day_time(out, *micros),
        Value::Array(_) | Value::Map(_) | Value::Struct(_) => {
            append_nested(out, value, data_type, &|out, value, data_type| {
                append(out, value, data_type, zone);
            });
        }
    }
}

/// Appends a list, map or struct: `[1, 2]`, `{a -> 1}`, `{1, a}`; what is in it as `inner` writes it.
pub fn append_nested(
    out: &mut String,
    value: &Value,
    data_type: &DataType,
    inner: &dyn Fn(&mut String, &Value, &DataType),
) {
    let comma = |out: &mut String, place: usize| {
        if place > 0 {
            out.push_str(", ");
        }
    };
    match (value, data_type) {
        (Value::Array(elements), DataType::Array(element)) => {
            out.push('[');
            for (place, value) in elements.iter().enumerate() {
                comma(out, place);
                inner(out, value, element);
            }
            out.push(']');
        }
        (Value::Map(pairs), DataType::Map(types)) => {
            out.push('{');
            for (place, (key, value)) in pairs.iter().enumerate() {
                comma(out, place);
                inner(out, key, &types.0);
                out.push_str(" -> ");
                inner(out, value, &types.1);
            }
            out.push('}');
        }
        (Value::Struct(values), DataType::Struct(fields)) => {
            out.push('{');
            for (place, (value, field)) in values.iter().zip(fields.iter()).enumerate() {
                comma(out, place);
                inner(out, value, &field.data_type);
            }
            out.push('}');
        }
        _ => {}
    }
}

/// Appends bytes in hexadecimal, as tables and CSV show them: `[61 62]`.
pub fn append_bytes(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('[');
    for (place, byte) in bytes.iter().enumerate() {
        if place > 0 {
            out.push(' ');
        }
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out.push(']');
}

/// Appends an integer.
pub fn append_integer(out: &mut String, number: i64) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Appends a DOUBLE as Java writes it: `20.0`, `1.0E10`, `1.0E-4`, `NaN`, `Infinity`.
pub fn append_double(out: &mut String, number: f64) {
    if number == 0.0 {
        out.push_str(if number.is_sign_negative() {
            "-0.0"
        } else {
            "0.0"
        });
    } else if !number.is_finite() {
        append_special(out, number);
    } else if (1e-3..1e7).contains(&number.abs()) {
        if !append_amount(out, number) {
            out.push_str(ryu::Buffer::new().format_finite(number));
        }
    } else {
        let mut buffer = ryu::Buffer::new();
        match buffer.format_finite(number) {
            digits if number.abs() < 1e-300 && one_digit(digits) => append_smallest(out, number),
            digits => append_scientific(out, digits),
        }
    }
}

/// Appends a number of less than 10⁷ if it has at most four digits behind its point, as amounts have, which takes far less than the
/// general way; says whether it has. No two decimals of at most 15 digits are the same DOUBLE, so one that is the number is
/// the shortest that is.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]
fn append_amount(out: &mut String, number: f64) -> bool {
    const UNIT: u32 = 10_000;
    let size = number.abs();
    let scaled = (size * f64::from(UNIT) + 0.5) as u64;
    if scaled as f64 / f64::from(UNIT) != size {
        return false;
    }
    if number < 0.0 {
        out.push('-');
    }
    let (whole, mut rest) = (scaled / u64::from(UNIT), (scaled % u64::from(UNIT)) as u32);
    out.push_str(itoa::Buffer::new().format(whole));
    out.push('.');
    loop {
        let digit = rest * 10 / UNIT;
        out.push(char::from(b'0' + digit as u8));
        rest = rest * 10 % UNIT;
        if rest == 0 {
            return true;
        }
    }
}

/// Appends a FLOAT as Java writes it.
pub fn append_float(out: &mut String, number: f32) {
    if number == 0.0 {
        out.push_str(if number.is_sign_negative() {
            "-0.0"
        } else {
            "0.0"
        });
    } else if !number.is_finite() {
        append_special(out, f64::from(number));
    } else if (1e-3..1e7).contains(&number.abs()) {
        out.push_str(ryu::Buffer::new().format_finite(number));
    } else {
        let mut buffer = ryu::Buffer::new();
        match buffer.format_finite(number) {
            digits if number.abs() < 1e-37 && one_digit(digits) => append_smallest(out, number),
            digits => append_scientific(out, digits),
        }
    }
}

/// Whether a number in scientific notation has one digit: `5e-324`.
fn one_digit(digits: &str) -> bool {
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    digits.as_bytes().get(1) == Some(&b'e')
}

fn append_special(out: &mut String, number: f64) {
    out.push_str(if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    });
}

/// Appends a number near the smallest there is: Java writes two digits where one would do, and takes the nearest.
fn append_smallest(out: &mut String, number: impl std::fmt::LowerExp) {
    let start = out.len();
    let _ = write!(out, "{number:.1e}");
    let written = out.split_off(start);
    out.push_str(&written.replace('e', "E"));
}

/// From the shortest digits, in any notation, to `d.dddE±n`.
fn append_scientific(out: &mut String, shortest: &str) {
    let (sign, rest) = match shortest.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", shortest),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().unwrap_or(0)),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let count = |text: &str| i32::try_from(text.len()).unwrap_or(0);
    // The digits without the point, and the power of ten of the first of them that is not zero.
    let digits = whole.bytes().chain(fraction.bytes());
    let zeros = digits.clone().take_while(|b| *b == b'0').count();
    let exponent = exponent + count(whole) - 1 - i32::try_from(zeros).unwrap_or(0);
    let length = digits.clone().count();
    let trailing = digits.clone().rev().take_while(|b| *b == b'0').count();
    let end = length.saturating_sub(trailing);
    out.push_str(sign);
    for (i, digit) in digits.take(end).skip(zeros).enumerate() {
        if i == 1 {
            out.push('.');
        }
        out.push(char::from(digit));
    }
    if end.saturating_sub(zeros) <= 1 {
        out.push_str(".0");
    }
    out.push('E');
    append_integer(out, i64::from(exponent));
}

/// Appends a DECIMAL with all digits of its scale, never with an exponent.
pub fn append_decimal(out: &mut String, unscaled: i128, scale: u8) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled.unsigned_abs());
    if unscaled < 0 {
        out.push('-');
    }
    let scale = usize::from(scale);
    if scale == 0 {
        out.push_str(digits);
    } else if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.push_str(whole);
        out.push('.');
        out.push_str(fraction);
    } else {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', scale - digits.len()));
        out.push_str(digits);
    }
}

/// Appends a number with leading zeros.
fn append_padded(out: &mut String, number: u32, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number);
    out.extend(std::iter::repeat_n('0', width.saturating_sub(digits.len())));
    out.push_str(digits);
}

/// Appends a DATE as `yyyy-MM-dd`.
pub fn append_date(out: &mut String, days: i32) {
    let (year, month, day) = calendar::civil(days);
    if year < 0 {
        out.push('-');
    } else if year > 9999 {
        out.push('+');
    }
    append_padded(out, year.unsigned_abs(), 4);
    out.push('-');
    append_padded(out, month, 2);
    out.push('-');
    append_padded(out, day, 2);
}

/// Appends a TIMESTAMP as the clocks of the zone show it: `yyyy-MM-dd HH:mm:ss[.ffffff]`, without trailing zeros.
pub fn append_timestamp(out: &mut String, micros: i64, zone: Zone) {
    append_local(out, calendar::local(micros, zone), ' ');
}

/// Appends a time without zone; `separator` stands between date and time.
pub fn append_local(out: &mut String, micros: i64, separator: char) {
    let days = micros.div_euclid(MICROS_PER_DAY);
    append_date(out, i32::try_from(days).unwrap_or_default());
    out.push(separator);
    let of_day = micros.rem_euclid(MICROS_PER_DAY);
    let seconds = u32::try_from(of_day / MICROS_PER_SECOND).unwrap_or_default();
    append_padded(out, seconds / 3600, 2);
    out.push(':');
    append_padded(out, seconds / 60 % 60, 2);
    out.push(':');
    append_padded(out, seconds % 60, 2);
    append_fraction(out, of_day % MICROS_PER_SECOND);
}

/// Appends the digits after the second, without trailing zeros; nothing for zero.
pub fn append_fraction(out: &mut String, micros: i64) {
    if micros == 0 {
        return;
    }
    out.push('.');
    append_padded(out, u32::try_from(micros).unwrap_or_default(), 6);
    let kept = out.trim_end_matches('0').len();
    out.truncate(kept);
}

fn append_months(out: &mut String, months: i32) {
    let sign = if months < 0 { "-" } else { "" };
    let months = months.unsigned_abs();
    // Writing into a String cannot fail.
    let _ = write!(
        out,
        "INTERVAL '{sign}{}-{}' YEAR TO MONTH",
        months / 12,
        months % 12
    );
}

fn append_day_time(out: &mut String, micros: i64) {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    let seconds = micros / 1_000_000;
    let _ = write!(
        out,
        "INTERVAL '{sign}{} {:02}:{:02}:{:02}",
        seconds / 86_400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    );
    append_fraction(out, i64::try_from(micros % 1_000_000).unwrap_or_default());
    out.push_str("' DAY TO SECOND");
}

/// What Spark's casts cut off both ends of a text: white space and control characters.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ' || c == '\u{7f}')
}

#[cfg(test)]
mod tests {
    use crate::expr::calendar::Zone;
    use proptest::prelude::*;

    use super::*;

    /// Amounts, doubles next to them, and any other, where no exponent is written.
    fn amounts() -> impl Strategy<Value = f64> {
        let amount = (-99_999_999_999_i64..99_999_999_999, 0..6_i32).prop_map(|(units, digits)| {
            #[allow(clippy::cast_precision_loss)]
            let units = units as f64;
            units / 10_f64.powi(digits)
        });
        let beside = |(amount, steps): (f64, i64)| {
            f64::from_bits(amount.to_bits().wrapping_add_signed(steps))
        };
        let amount = (amount, -1..2_i64).prop_map(beside);
        prop_oneof![amount, -1e7..1e7]
            .prop_filter("with an exponent", |n| (1e-3..1e7).contains(&n.abs()))
    }

    proptest! {
        #[test]
        fn an_amount_is_written_as_any_other_double(number in amounts()) {
            let expected = ryu::Buffer::new().format_finite(number).to_owned();
            prop_assert_eq!(shown(Value::Double(number), &DataType::Double), expected);
        }
    }

    fn shown(value: Value, data_type: &DataType) -> String {
        let mut out = String::new();
        append(&mut out, &value, data_type, Zone::UTC);
        out
    }

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        for (number, expected) in [
            (20.0, "20.0"),
            (1e10, "1.0E10"),
            (1.5e10, "1.5E10"),
            (12_345_678.9, "1.23456789E7"),
            (1_234_567.5, "1234567.5"),
            (1e7, "1.0E7"),
            (0.001, "0.001"),
            (0.000_9, "9.0E-4"),
            (0.000_123, "1.23E-4"),
            (1e-10, "1.0E-10"),
            (-1.25e-300, "-1.25E-300"),
            (f64::MAX, "1.7976931348623157E308"),
            (-0.0, "-0.0"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (0.1 + 0.2, "0.30000000000000004"),
        ] {
            assert_eq!(shown(Value::Double(number), &DataType::Double), expected);
        }
        assert_eq!(shown(Value::Float(0.1), &DataType::Float), "0.1");
        assert_eq!(shown(Value::Float(1e10), &DataType::Float), "1.0E10");
    }

    #[test]
    fn decimals_keep_their_scale() {
        let mut out = String::new();
        for (unscaled, scale) in [(123, 2), (-5, 2), (0, 3), (7, 0), (1, 20)] {
            append_decimal(&mut out, unscaled, scale);
            out.push(' ');
        }
        assert_eq!(out, "1.23 -0.05 0.000 7 0.00000000000000000001 ");
    }

    #[test]
    fn times_are_written_without_trailing_zeros() {
        assert_eq!(
            shown(Value::Timestamp(1_500_000), &DataType::Timestamp),
            "1970-01-01 00:00:01.5"
        );
        assert_eq!(
            shown(Value::Timestamp(-1), &DataType::Timestamp),
            "1969-12-31 23:59:59.999999"
        );
        assert_eq!(
            shown(Value::Date(2_932_897), &DataType::Date),
            "+10000-01-01"
        );
        assert_eq!(
            shown(
                Value::DayTimeInterval(-93_784_500_000),
                &DataType::DayTimeInterval
            ),
            "INTERVAL '-1 02:03:04.5' DAY TO SECOND"
        );
        assert_eq!(
            shown(Value::YearMonthInterval(14), &DataType::YearMonthInterval),
            "INTERVAL '1-2' YEAR TO MONTH"
        );
    }
}
