//! From the text of a number to an exact decimal.

/// Digits that an `i128` holds, whatever they are.
const DIGITS_MAX: u32 = 38;

/// The unscaled number of a `DECIMAL(precision, scale)`, rounded half up; None when the text is no number or has more
/// digits before its point than the type.
pub(super) fn parse(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let bytes = text.as_bytes();
    let (negative, bytes) = match bytes.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, bytes),
    };
    let mut value = 0_i128;
    let mut count = 0_u32;
    // The power of ten that `value` must be multiplied with to be the number.
    let mut power = 0_i64;
    // The first digit that `value` has no room for. Rounding half up needs no other.
    let mut dropped = None;
    let (mut any, mut point) = (false, false);
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b'0'..=b'9' => {
                let digit = byte - b'0';
                any = true;
                if count < DIGITS_MAX {
                    value = value * 10 + i128::from(digit);
                    count += u32::from(value != 0);
                    power -= i64::from(point);
                } else {
                    dropped = dropped.or(Some(digit));
                    power += i64::from(!point);
                }
            }
            b'.' if !point => point = true,
            b'e' | b'E' if any => {
                power = power.checked_add(exponent(after)?)?;
                break;
            }
            _ => return None,
        }
        rest = after;
    }
    if !any {
        return None;
    }
    let unscaled = shift(value, power + i64::from(scale), dropped)?;
    let limit = 10_i128.pow(u32::from(precision).min(DIGITS_MAX));
    (unscaled < limit).then_some(if negative { -unscaled } else { unscaled })
}

/// The exponent after its `e`. One beyond any use is cut to a bound that acts the same.
fn exponent(text: &[u8]) -> Option<i64> {
    const BOUND: i64 = 1_000_000_000_000;
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = (value * 10 + i64::from(byte - b'0')).min(BOUND);
    }
    Some(if negative { -value } else { value })
}

/// `value` times ten to the `power`, rounded half up.
fn shift(value: i128, power: i64, dropped: Option<u8>) -> Option<i128> {
    if value == 0 {
        return Some(0);
    }
    if power >= 0 {
        let up = i128::from(power == 0 && dropped.is_some_and(|digit| digit >= 5));
        return 10_i128
            .checked_pow(u32::try_from(power).ok()?)
            .and_then(|factor| value.checked_mul(factor))
            .and_then(|value| value.checked_add(up));
    }
    let Some(divisor) = u32::try_from(-power)
        .ok()
        .and_then(|power| 10_i128.checked_pow(power))
    else {
        return Some(0);
    };
    let remainder = value % divisor;
    Some(value / divisor + i128::from(remainder >= divisor - remainder))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_decimal_is_exact_where_a_double_is_not() {
        assert_eq!(parse("0.1", 10, 2), Some(10));
        assert_eq!(
            parse("123456789012345678.99", 20, 2),
            Some(12_345_678_901_234_567_899)
        );
        assert_eq!(parse("-1.5e3", 10, 0), Some(-1500));
        assert_eq!(parse("1E-3", 10, 3), Some(1));
    }

    #[test]
    fn what_the_scale_cannot_hold_is_rounded_half_up() {
        assert_eq!(parse("1.005", 10, 2), Some(101));
        assert_eq!(parse("1.0049999", 10, 2), Some(100));
        assert_eq!(parse("-1.005", 10, 2), Some(-101));
        assert_eq!(parse("0.4999", 10, 0), Some(0));
        assert_eq!(parse(&format!("0.{}5", "9".repeat(38)), 38, 38), None);
        assert_eq!(
            parse(&format!("0.{}4", "9".repeat(38)), 38, 38),
            Some(10_i128.pow(38) - 1)
        );
    }

    #[test]
    fn a_number_with_too_many_digits_does_not_fit() {
        assert_eq!(parse("1000", 3, 0), None);
        assert_eq!(parse("999.5", 3, 0), None);
        assert_eq!(parse("1e999999999999999999999", 38, 0), None);
        assert_eq!(parse("1e-999999999999999999999", 38, 0), Some(0));
        assert_eq!(parse(&"9".repeat(39), 38, 0), None);
        assert_eq!(parse(&"9".repeat(38), 38, 0), Some(10_i128.pow(38) - 1));
    }

    #[test]
    fn what_is_no_number_does_not_fit() {
        for text in ["", "-", ".", "e5", "1e", "1e+", "1..2", "abc", "1 "] {
            assert_eq!(parse(text, 10, 2), None, "{text}");
        }
    }
}
