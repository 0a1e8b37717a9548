//! Decimal arithmetic with Spark's result types and HALF_UP rounding: up to 38 digits, exact in between.

/// The most digits of a DECIMAL.
pub const MAX_PRECISION: u8 = 38;

const POWERS: [i128; 39] = {
    let mut powers = [1_i128; 39];
    let mut i = 1;
    while i < 39 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// Ten to the power; the greatest of them, 10^38, for anything above 38.
#[inline]
pub fn pow10(exponent: u8) -> i128 {
    POWERS[usize::from(exponent.min(MAX_PRECISION))]
}

/// Whether the number has at most so many digits.
#[inline]
pub fn fits(unscaled: i128, precision: u8) -> bool {
    unscaled.unsigned_abs() < pow10(precision).unsigned_abs()
}

/// How many digits the number has, at least 1.
pub fn digits(unscaled: i128) -> u8 {
    let magnitude = unscaled.unsigned_abs();
    let mut digits = 1;
    while digits < MAX_PRECISION && magnitude >= POWERS[usize::from(digits)].unsigned_abs() {
        digits += 1;
    }
    digits
}

/// The number with another scale, rounded HALF_UP; None on overflow of 38 digits.
#[inline]
pub fn rescale(unscaled: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        let scaled = unscaled.checked_mul(pow10(to - from))?;
        fits(scaled, MAX_PRECISION).then_some(scaled)
    } else {
        Some(divide_rounded(unscaled, pow10(from - to)))
    }
}

/// Rounds half away from zero.
#[inline]
fn divide_rounded(number: i128, divisor: i128) -> i128 {
    let quotient = number / divisor;
    let rest = (number % divisor).unsigned_abs();
    if rest >= divisor.unsigned_abs() - rest {
        quotient + if (number < 0) == (divisor < 0) { 1 } else { -1 }
    } else {
        quotient
    }
}

/// Spark's `adjustPrecisionScale`: digits before the point win, but at least 6 after it stay.
pub fn adjust(precision: u32, scale: u32) -> (u8, u8) {
    let small = |n: u32| u8::try_from(n).unwrap_or(MAX_PRECISION);
    if precision <= 38 {
        return (small(precision), small(scale));
    }
    let whole = precision - scale;
    let least = scale.min(6);
    (38, small(38_u32.saturating_sub(whole).max(least)))
}

/// Precision and scale of a sum or difference.
pub fn sum_type((p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> (u8, u8) {
    let (p1, s1, p2, s2) = (u32::from(p1), u32::from(s1), u32::from(p2), u32::from(s2));
    let scale = s1.max(s2);
    adjust((p1 - s1).max(p2 - s2) + scale + 1, scale)
}

/// Precision and scale of a product.
pub fn product_type((p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> (u8, u8) {
    let (p1, s1, p2, s2) = (u32::from(p1), u32::from(s1), u32::from(p2), u32::from(s2));
    adjust(p1 + p2 + 1, s1 + s2)
}

/// Precision and scale of a quotient.
pub fn quotient_type((p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> (u8, u8) {
    let (p1, s1, p2, s2) = (u32::from(p1), u32::from(s1), u32::from(p2), u32::from(s2));
    let scale = (s1 + p2 + 1).max(6);
    adjust(p1 - s1 + s2 + scale, scale)
}

/// Precision and scale of a remainder.
pub fn remainder_type((p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> (u8, u8) {
    let (p1, s1, p2, s2) = (u32::from(p1), u32::from(s1), u32::from(p2), u32::from(s2));
    let scale = s1.max(s2);
    adjust((p1 - s1).min(p2 - s2) + scale, scale)
}

/// The type that both fit, as CASE and UNION need it; beyond 38 digits it is digits after the point that are lost.
pub fn wider_type((p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> (u8, u8) {
    let scale = s1.max(s2);
    let precision = (p1 - s1).max(p2 - s2) + scale;
    let excess = precision.saturating_sub(MAX_PRECISION);
    (precision - excess, scale.saturating_sub(excess))
}

/// Sum at a scale; None beyond `precision` digits.
#[inline]
pub fn add(a: (i128, u8), b: (i128, u8), precision: u8, scale: u8) -> Option<i128> {
    let common = a.1.max(b.1);
    let exact =
        a.0.checked_mul(pow10(common - a.1))
            .zip(b.0.checked_mul(pow10(common - b.1)))
            .and_then(|(a, b)| a.checked_add(b));
    let sum = match exact {
        Some(sum) if scale == common => sum,
        Some(sum) => rescale(sum, common, scale)?,
        None => {
            let a = Wide::of(a.0).times(pow10(common - a.1).unsigned_abs());
            let b = Wide::of(b.0).times(pow10(common - b.1).unsigned_abs());
            a.plus(b).rescaled(common, scale)?
        }
    };
    fits(sum, precision).then_some(sum)
}

/// Product at a scale; None beyond `precision` digits.
#[inline]
pub fn multiply(a: (i128, u8), b: (i128, u8), precision: u8, scale: u8) -> Option<i128> {
    let exact = a.1 + b.1;
    let product = match a.0.checked_mul(b.0) {
        Some(product) if scale == exact => product,
        Some(product) if exact > scale && exact - scale <= 38 => {
            divide_rounded(product, pow10(exact - scale))
        }
        _ => Wide::of(a.0)
            .times(b.0.unsigned_abs())
            .signed(a.0 < 0, b.0 < 0)
            .rescaled(exact, scale)?,
    };
    fits(product, precision).then_some(product)
}

/// Quotient at a scale; None beyond `precision` digits. The divisor is not zero.
pub fn divide(a: (i128, u8), b: (i128, u8), precision: u8, scale: u8) -> Option<i128> {
    if b.0 == 0 {
        return None;
    }
    let shift = i32::from(scale) - i32::from(a.1) + i32::from(b.1);
    let quotient = match u8::try_from(shift) {
        Ok(shift) => divide_shifted(a.0, b.0, shift)?,
        Err(_) => {
            let down = u8::try_from(-shift).ok()?;
            match b.0.checked_mul(pow10(down)) {
                Some(divisor) if down <= 38 => divide_rounded(a.0, divisor),
                // The divisor is greater than any decimal: less than a half, up to one.
                _ => {
                    let twice = Wide::of(a.0).times(2);
                    let divisor = Wide::of(b.0).times(pow10(down).unsigned_abs());
                    let up = !twice.magnitude_less(&divisor);
                    i128::from(up) * if (a.0 < 0) == (b.0 < 0) { 1 } else { -1 }
                }
            }
        }
    };
    fits(quotient, precision).then_some(quotient)
}

/// `a * 10^shift / b`, rounded; None beyond 38 digits.
fn divide_shifted(a: i128, b: i128, shift: u8) -> Option<i128> {
    if shift <= 38
        && let Some(scaled) = a.checked_mul(pow10(shift))
    {
        return Some(divide_rounded(scaled, b));
    }
    let negative = (a < 0) != (b < 0);
    let divisor = b.unsigned_abs();
    let mut quotient = a.unsigned_abs() / divisor;
    let mut rest = a.unsigned_abs() % divisor;
    let mut left = shift;
    while left > 0 {
        let step = left.min(38);
        let power = pow10(step).unsigned_abs();
        let (next, remainder) = Wide::magnitude(rest).times(power).divided(divisor);
        quotient = quotient.checked_mul(power)?.checked_add(next.low128()?)?;
        if quotient >= pow10(38).unsigned_abs() {
            return None;
        }
        rest = remainder;
        left -= step;
    }
    if rest >= divisor - rest {
        quotient += 1;
    }
    let quotient = i128::try_from(quotient).ok()?;
    Some(if negative { -quotient } else { quotient })
}

/// Remainder with the sign of the dividend, at a scale; None beyond `precision` digits. The divisor is not zero.
pub fn remainder(a: (i128, u8), b: (i128, u8), precision: u8, scale: u8) -> Option<i128> {
    if b.0 == 0 {
        return None;
    }
    let common = a.1.max(b.1);
    let exact =
        a.0.checked_mul(pow10(common - a.1))
            .zip(b.0.checked_mul(pow10(common - b.1)));
    let rest = match exact {
        Some((a, b)) => rescale(a.checked_rem(b)?, common, scale)?,
        None => {
            let dividend = Wide::of(a.0).times(pow10(common - a.1).unsigned_abs());
            let divisor = Wide::of(b.0).times(pow10(common - b.1).unsigned_abs());
            dividend.modulo(&divisor).rescaled(common, scale)?
        }
    };
    fits(rest, precision).then_some(rest)
}

/// The quotient without its digits after the point. The divisor is not zero.
pub fn integral_quotient(a: (i128, u8), b: (i128, u8)) -> Option<i128> {
    if b.0 == 0 {
        return None;
    }
    let common = a.1.max(b.1);
    let exact =
        a.0.checked_mul(pow10(common - a.1))
            .zip(b.0.checked_mul(pow10(common - b.1)));
    match exact {
        Some((a, b)) => a.checked_div(b),
        None => {
            let dividend = Wide::of(a.0).times(pow10(common - a.1).unsigned_abs());
            let divisor = Wide::of(b.0).times(pow10(common - b.1).unsigned_abs());
            let quotient = i128::try_from(dividend.long_division(&divisor).0.low128()?).ok()?;
            Some(if (a.0 < 0) == (b.0 < 0) {
                quotient
            } else {
                -quotient
            })
        }
    }
}

/// The order of two decimals of different scales.
pub fn compare(a: (i128, u8), b: (i128, u8)) -> std::cmp::Ordering {
    let common = a.1.max(b.1);
    let exact =
        a.0.checked_mul(pow10(common - a.1))
            .zip(b.0.checked_mul(pow10(common - b.1)));
    match exact {
        Some((a, b)) => a.cmp(&b),
        None => match (a.0 < 0, b.0 < 0) {
            (true, false) => std::cmp::Ordering::Less,
            (false, true) => std::cmp::Ordering::Greater,
            (negative, _) => {
                let a = Wide::of(a.0).times(pow10(common - a.1).unsigned_abs());
                let b = Wide::of(b.0).times(pow10(common - b.1).unsigned_abs());
                let order = (a.high, a.low).cmp(&(b.high, b.low));
                if negative { order.reverse() } else { order }
            }
        },
    }
}

/// A number of 256 bits and a sign; for what does not fit 128 bits on the way to a result.
#[derive(Clone, Copy, Debug)]
struct Wide {
    negative: bool,
    high: u128,
    low: u128,
}

impl Wide {
    fn of(number: i128) -> Self {
        Self {
            negative: number < 0,
            high: 0,
            low: number.unsigned_abs(),
        }
    }

    fn magnitude(number: u128) -> Self {
        Self {
            negative: false,
            high: 0,
            low: number,
        }
    }

    fn signed(mut self, a: bool, b: bool) -> Self {
        self.negative = a != b;
        self
    }

    /// For a number of at most 128 bits: the product always fits.
    fn times(self, factor: u128) -> Self {
        const HALF: u128 = u64::MAX as u128;
        let (a1, a0) = (self.low >> 64, self.low & HALF);
        let (b1, b0) = (factor >> 64, factor & HALF);
        let low = a0 * b0;
        let (middle, carry) = (a1 * b0).overflowing_add(a0 * b1);
        let (low, carry_low) = low.overflowing_add(middle << 64);
        let high = a1 * b1 + (middle >> 64) + (u128::from(carry) << 64) + u128::from(carry_low);
        Self {
            negative: self.negative,
            high,
            low,
        }
    }

    fn magnitude_less(&self, other: &Self) -> bool {
        (self.high, self.low) < (other.high, other.low)
    }

    fn minus_magnitude(self, other: &Self) -> Self {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        Self {
            negative: self.negative,
            high: self
                .high
                .wrapping_sub(other.high)
                .wrapping_sub(u128::from(borrow)),
            low,
        }
    }

    fn plus(self, other: Self) -> Self {
        if self.negative == other.negative {
            // Both are below 10^76, so nothing is lost.
            let (low, carry) = self.low.overflowing_add(other.low);
            Self {
                negative: self.negative,
                high: self
                    .high
                    .wrapping_add(other.high)
                    .wrapping_add(u128::from(carry)),
                low,
            }
        } else if self.magnitude_less(&other) {
            other.minus_magnitude(&self)
        } else {
            self.minus_magnitude(&other)
        }
    }

    /// Quotient and remainder of the magnitudes, bit by bit; rare enough to be simple.
    fn long_division(&self, divisor: &Self) -> (Self, Self) {
        let zero = Self::magnitude(0);
        let (mut quotient, mut rest) = (zero, zero);
        for bit in (0..256).rev() {
            rest.high = (rest.high << 1) | (rest.low >> 127);
            rest.low <<= 1;
            let set = if bit >= 128 {
                self.high >> (bit - 128)
            } else {
                self.low >> bit
            } & 1;
            rest.low |= set;
            if !rest.magnitude_less(divisor) {
                rest = rest.minus_magnitude(divisor);
                if bit >= 128 {
                    quotient.high |= 1 << (bit - 128);
                } else {
                    quotient.low |= 1 << bit;
                }
            }
        }
        quotient.negative = self.negative;
        rest.negative = self.negative;
        (quotient, rest)
    }

    fn divided(self, divisor: u128) -> (Self, u128) {
        let (quotient, rest) = self.long_division(&Self::magnitude(divisor));
        (quotient, rest.low)
    }

    fn modulo(&self, divisor: &Self) -> Self {
        self.long_division(divisor).1
    }

    fn low128(&self) -> Option<u128> {
        (self.high == 0).then_some(self.low)
    }

    fn rescaled(self, from: u8, to: u8) -> Option<i128> {
        let mut wide = self;
        if to >= from {
            let power = pow10(to - from).unsigned_abs();
            let low = wide.low128()?.checked_mul(power)?;
            wide.low = low;
        } else {
            let mut left = from - to;
            // All but the last 38 digits are cut without rounding, then the rest is rounded once: HALF_UP looks at one
            // digit only, so what is cut before it does not matter.
            while left > 38 {
                wide = Self {
                    negative: wide.negative,
                    ..wide.divided(pow10(left.min(76) - 38).unsigned_abs()).0
                };
                left -= left.min(76) - 38;
            }
            let power = pow10(left).unsigned_abs();
            let (mut quotient, rest) = wide.divided(power);
            if rest >= power - rest {
                let (low, carry) = quotient.low.overflowing_add(1);
                quotient.low = low;
                quotient.high = quotient.high.wrapping_add(u128::from(carry));
            }
            wide = quotient;
        }
        let magnitude = i128::try_from(wide.low128()?).ok()?;
        let number = if self.negative { -magnitude } else { magnitude };
        fits(number, MAX_PRECISION).then_some(number)
    }
}
