//! Values as Spark's text, and Spark's text as dates and times.

use std::fmt::Write;

use chrono_tz::Tz;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::calendar::{self, MICROS_PER_DAY, MICROS_PER_SECOND, Zone};

/// Appends a value as `CAST(value AS STRING)` gives it; NULL inside another value is `null`.
pub fn append(out: &mut String, value: &Value, data_type: &DataType, zone: Tz) {
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
pub fn append_timestamp(out: &mut String, micros: i64, zone: impl Into<Zone>) {
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

/// A cursor over the digits of a date or time.
struct Digits<'t> {
    rest: &'t [u8],
}

impl Digits<'_> {
    /// A number of `least` to `most` digits.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let count = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if count < least || count > most {
            return None;
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        Some(
            digits
                .iter()
                .fold(0, |number, digit| number * 10 + u32::from(digit - b'0')),
        )
    }

    fn skip(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// `[+-]yyyy*[-[m]m[-[d]d]]`: the day, and whether all three parts were there.
    fn date(&mut self) -> Option<(i32, bool)> {
        let negative = self.skip(b'-');
        if !negative {
            self.skip(b'+');
        }
        let year = i32::try_from(self.number(4, 7)?).ok()?;
        let year = if negative { -year } else { year };
        if !self.skip(b'-') {
            return calendar::days(year, 1, 1).map(|days| (days, false));
        }
        let month = self.number(1, 2)?;
        if !self.skip(b'-') {
            return calendar::days(year, month, 1).map(|days| (days, false));
        }
        let day = self.number(1, 2)?;
        calendar::days(year, month, day).map(|days| (days, true))
    }
}

/// A date as Spark's cast reads it: `yyyy`, `yyyy-[m]m`, `yyyy-[m]m-[d]d`, the last also followed by a space or `T` and
/// anything. Days since 1970-01-01.
pub fn parse_date(text: &str) -> Option<i32> {
    let mut digits = Digits {
        rest: trim(text).as_bytes(),
    };
    let (days, complete) = digits.date()?;
    match digits.rest.first() {
        None => Some(days),
        Some(b' ' | b'T') if complete => Some(days),
        Some(_) => None,
    }
}

/// A time as Spark's cast reads it, `yyyy[-[m]m[-[d]d[( |T)[h]h:[m]m[:[s]s[.f]][zone]]]]`: microseconds since
/// 1970-01-01T00:00:00Z. A text without zone is a time of `zone`.
pub fn parse_timestamp(text: &str, zone: impl Into<Zone>) -> Option<i64> {
    let (local, own) = parse_time(text)?;
    match own {
        Some(own) => calendar::zone(own).map(|zone| calendar::utc(local, zone)),
        None => Some(calendar::utc(local, zone)),
    }
}

/// A time without zone; a zone in the text is read and left out, as in Spark's cast to TIMESTAMP_NTZ.
pub fn parse_timestamp_ntz(text: &str) -> Option<i64> {
    let (local, zone) = parse_time(text)?;
    match zone {
        Some(zone) => calendar::zone(zone).map(|_| local),
        None => Some(local),
    }
}

/// A time without zone; None where the text has one, as Spark's readers of files want it.
pub fn parse_local(text: &str) -> Option<i64> {
    match parse_time(text)? {
        (local, None) => Some(local),
        _ => None,
    }
}

/// A time of day as Spark's cast reads it, `[h]h:[m]m[:[s]s[.f]][zone]`, behind a `T` also the hour alone: microseconds
/// since midnight, and its zone.
pub(crate) fn parse_clock(text: &str) -> Option<(i64, Option<Zone>)> {
    let text = trim(text);
    let (rest, alone) = match text.strip_prefix('T') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let hour = rest.bytes().take_while(u8::is_ascii_digit).count();
    let ends = alone && hour == rest.len();
    if !(1..=2).contains(&hour) || !(ends || rest[hour..].starts_with(':')) {
        return None;
    }
    let dated = format!("1970-01-01 {rest}");
    match parse_time(&dated)? {
        (micros, None) => Some((micros, None)),
        (micros, Some(zone)) => Some((micros, Some(calendar::zone(zone)?))),
    }
}

/// Microseconds on the clock, and the zone behind them.
fn parse_time(text: &str) -> Option<(i64, Option<&str>)> {
    let text = trim(text);
    let mut digits = Digits {
        rest: text.as_bytes(),
    };
    let (days, complete) = digits.date()?;
    let midnight = i64::from(days).checked_mul(MICROS_PER_DAY)?;
    if digits.rest.is_empty() {
        return Some((midnight, None));
    }
    if !complete || !(digits.skip(b' ') || digits.skip(b'T')) {
        return None;
    }
    let hour = digits.number(1, 2)?;
    let mut minute = 0;
    let mut second = 0;
    let mut fraction = 0;
    if digits.skip(b':') {
        minute = digits.number(1, 2)?;
        if digits.skip(b':') {
            second = digits.number(1, 2)?;
            if digits.skip(b'.') {
                fraction = fraction_of(&mut digits);
            }
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // What is left is the zone; `get` cannot fail, because only ASCII was read so far.
    let zone = text.get(text.len() - digits.rest.len()..).map(trim);
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    let local = midnight.checked_add(seconds * MICROS_PER_SECOND + i64::from(fraction))?;
    Some((local, zone.filter(|zone| !zone.is_empty())))
}

/// Six digits after the second; further ones are cut.
fn fraction_of(digits: &mut Digits<'_>) -> u32 {
    let mut micros = 0;
    let mut places = 0;
    while let Some((digit, rest)) = digits.rest.split_first() {
        if !digit.is_ascii_digit() {
            break;
        }
        if places < 6 {
            micros = micros * 10 + u32::from(digit - b'0');
            places += 1;
        }
        digits.rest = rest;
    }
    micros * 10_u32.pow(6 - places)
}

#[cfg(test)]
mod tests {
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
        append(&mut out, &value, data_type, Tz::UTC);
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

    #[test]
    fn dates_are_read_as_spark_reads_them() {
        let day = |y, m, d| calendar::days(y, m, d);
        for (text, expected) in [
            ("2024-02-29", day(2024, 2, 29)),
            (" 2024-2-9 ", day(2024, 2, 9)),
            ("2024", day(2024, 1, 1)),
            ("2024-05", day(2024, 5, 1)),
            ("2024-05-01T", day(2024, 5, 1)),
            ("2024-05-01 whatever", day(2024, 5, 1)),
            ("+12024-05-01", day(12024, 5, 1)),
            ("2023-02-29", None),
            ("24-01-01", None),
            ("2024-05-", None),
            ("2024/05/01", None),
            ("20240501", None),
            ("", None),
        ] {
            assert_eq!(parse_date(text), expected, "{text:?}");
        }
    }

    #[test]
    fn times_are_read_with_their_own_zone_or_the_sessions() {
        let utc = |text| parse_timestamp(text, Tz::UTC);
        assert_eq!(utc("1970-01-01 00:00:01"), Some(1_000_000));
        assert_eq!(utc("1970-01-01T00:00:01.5Z"), Some(1_500_000));
        assert_eq!(utc("1970-01-01 01:00:00+01:00"), Some(0));
        assert_eq!(utc("1970-01-01 01:00:00 Europe/Berlin"), Some(0));
        assert_eq!(utc("1970-01-01 00:00:00.1234567"), Some(123_456));
        assert_eq!(utc("1970-01-01"), Some(0));
        assert_eq!(utc("1970-01-01 1:2"), Some(3_720_000_000));
        assert_eq!(utc("1970-01-01 25:00:00"), None);
        assert_eq!(utc("1970-01-01 00:00:00 nowhere"), None);
        assert_eq!(utc("1970-01-01é"), None);
        assert_eq!(
            parse_timestamp("1970-01-01 01:00:00", Tz::Europe__Berlin),
            Some(0)
        );
        assert_eq!(
            parse_timestamp_ntz("1970-01-01 01:00:00Z"),
            Some(3_600_000_000)
        );
    }
}
