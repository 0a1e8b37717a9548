//! A number of a JSON text.

/// So many digits are in the range of a `u64`, whatever they are.
pub(super) const DIGITS_MAX: usize = 19;

/// The number that eight bytes are, if all are digits: two of them, four and all eight at a time (D. Lemire, "Quickly
/// parsing eight digits", 2018).
#[inline]
pub(super) fn eight_digits(bytes: &[u8; 8]) -> Option<u64> {
    const HIGH: u64 = 0xF0F0_F0F0_F0F0_F0F0;
    let word = u64::from_le_bytes(*bytes);
    // A digit is 0x30 to 0x39: its upper half is 3, also with 6 added.
    let upper = (word & HIGH) | ((word.wrapping_add(0x0606_0606_0606_0606) & HIGH) >> 4);
    if upper != 0x3333_3333_3333_3333 {
        return None;
    }
    let ones = word & 0x0F0F_0F0F_0F0F_0F0F;
    let twos = (ones.wrapping_mul(2561) >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = (twos.wrapping_mul(6_553_601) >> 16) & 0x0000_FFFF_0000_FFFF;
    Some(fours.wrapping_mul(42_949_672_960_001) >> 32)
}

/// A number as it stands in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a> {
    /// The text that it stands in.
    pub within: &'a str,
    /// Where it begins and ends there, in bytes.
    pub at: (usize, usize),
    /// Whether it begins with a minus.
    pub negative: bool,
    /// Whether it has neither a fraction nor an exponent.
    pub integer: bool,
    /// Its digits as one number, with the point left out; None when there are more than [`DIGITS_MAX`].
    pub digits: Option<u64>,
    /// The power of ten that `digits` is to be multiplied with, without the written exponent.
    pub scale: i32,
    /// Whether an exponent was written.
    pub exponent: bool,
    /// Whether it is `NaN` or an infinity.
    pub special: bool,
}

impl<'a> Number<'a> {
    /// Its text.
    pub(super) fn text(&self) -> &'a str {
        self.within.get(self.at.0..self.at.1).unwrap_or_default()
    }

    /// The number as a whole 64-bit one, if it is one.
    pub(super) fn to_i64(self) -> Option<i64> {
        if !self.integer {
            return None;
        }
        let digits = self.digits?;
        if self.negative {
            0_i64.checked_sub_unsigned(digits)
        } else {
            i64::try_from(digits).ok()
        }
    }

    /// The nearest double.
    pub(super) fn to_f64(self) -> f64 {
        const EXACT: [f64; 23] = [
            1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
            1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
        ];
        if self.special {
            return special(self.text()).unwrap_or(f64::NAN);
        }
        // Both operands are exact, so the one division rounds correctly (Clinger).
        if let (Some(digits), false) = (self.digits, self.exponent)
            && digits < 1 << 53
            && let Some(power) = usize::try_from(-self.scale)
                .ok()
                .and_then(|scale| EXACT.get(scale))
        {
            #[allow(clippy::cast_precision_loss)]
            let value = digits as f64 / power;
            return if self.negative { -value } else { value };
        }
        self.text().parse().unwrap_or(f64::NAN)
    }
}

/// The words for doubles that are no numbers.
pub(super) fn special(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        // As Spark: without its sign the short one is none.
        "+INF" | "Infinity" | "+Infinity" => Some(f64::INFINITY),
        "-INF" | "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_digits_are_read_at_once_and_nothing_else_is() {
        assert_eq!(eight_digits(b"00000000"), Some(0));
        assert_eq!(eight_digits(b"12345678"), Some(12_345_678));
        assert_eq!(eight_digits(b"99999999"), Some(99_999_999));
        for place in 0..8 {
            for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_digit()) {
                let mut bytes = *b"12345678";
                bytes[place] = byte;
                assert_eq!(eight_digits(&bytes), None, "{bytes:?}");
            }
        }
    }
}
