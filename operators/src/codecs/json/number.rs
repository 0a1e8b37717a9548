//! A number of a JSON text.

/// A number as it stands in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a> {
    /// Its text.
    pub text: &'a str,
    /// Whether it has neither a fraction nor an exponent.
    pub integer: bool,
    /// Its digits as one number, with the point left out; None when they are more than 19.
    pub digits: Option<u64>,
    /// The power of ten that `digits` is to be multiplied with, without the written exponent.
    pub scale: i32,
    /// Whether an exponent was written.
    pub exponent: bool,
    /// Whether it is `NaN` or an infinity.
    pub special: bool,
}

impl Number<'_> {
    /// Whether it begins with a minus.
    pub(super) fn negative(&self) -> bool {
        self.text.as_bytes().first() == Some(&b'-')
    }

    /// The number as a whole 64-bit one, if it is one.
    pub(super) fn to_i64(self) -> Option<i64> {
        if !self.integer {
            return None;
        }
        let digits = self.digits?;
        if self.negative() {
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
            return special(self.text).unwrap_or(f64::NAN);
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
            return if self.negative() { -value } else { value };
        }
        self.text.parse().unwrap_or(f64::NAN)
    }
}

/// The words for doubles that are no numbers.
pub(super) fn special(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "INF" | "+INF" | "Infinity" | "+Infinity" => Some(f64::INFINITY),
        "-INF" | "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}
