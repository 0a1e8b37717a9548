//! Sums of doubles in twice the precision: the answer does not depend on how rows are grouped into partial sums, so it is the
//! same after a restart.

/// An unevaluated sum of two doubles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Precise {
    pub(super) high: f64,
    pub(super) low: f64,
}

impl Precise {
    pub(super) fn of(high: f64) -> Self {
        Self { high, low: 0.0 }
    }

    /// The product of two doubles, exactly where it neither overflows nor underflows.
    pub(super) fn product(x: f64, y: f64) -> Self {
        // Dekker: halves of 26 bits multiply without rounding.
        let halves = |x: f64| {
            let split = 134_217_729.0 * x;
            let head = split - (split - x);
            (head, x - head)
        };
        let high = x * y;
        let ((a, b), (c, d)) = (halves(x), halves(y));
        let low = b * d - (((high - a * c) - b * c) - a * d);
        Self { high, low }.whole()
    }

    /// The square of a double.
    pub(super) fn square(x: f64) -> Self {
        Self::product(x, x)
    }

    /// The square of this sum.
    pub(super) fn squared(self) -> Self {
        let square = Self::square(self.high);
        square.add(Self::of(2.0 * self.high * self.low + self.low * self.low))
    }

    /// Divided by a double.
    pub(super) fn divided(self, by: f64) -> Self {
        let quotient = self.high / by;
        let rest = self.minus(Self::product(quotient, by));
        Self::of(quotient).add(Self::of(rest.value() / by))
    }

    /// Less another.
    pub(super) fn minus(self, other: Self) -> Self {
        self.add(Self {
            high: -other.high,
            low: -other.low,
        })
    }

    /// An infinity or NaN has no rest.
    fn whole(self) -> Self {
        if self.high.is_finite() && self.low.is_finite() {
            self
        } else {
            Self::of(self.high)
        }
    }

    #[inline]
    pub(super) fn add(self, other: Self) -> Self {
        let (sum, rest) = two_sum(self.high, other.high);
        if !sum.is_finite() {
            return Self::of(sum);
        }
        let (high, low) = two_sum(sum, rest + (self.low + other.low));
        Self { high, low }.whole()
    }

    pub(super) fn value(self) -> f64 {
        self.high + self.low
    }
}

#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_number_survives_beside_a_large_one() {
        let sum = [1e16, 1.0, -1e16]
            .iter()
            .fold(Precise::of(0.0), |sum, x| sum.add(Precise::of(*x)));
        assert_eq!(sum.value(), 1.0);
    }

    #[test]
    fn infinities_and_nan_stay_what_they_are() {
        let one = Precise::of(1.0);
        assert_eq!(one.add(Precise::of(f64::INFINITY)).value(), f64::INFINITY);
        assert!(one.add(Precise::of(f64::NAN)).value().is_nan());
        assert_eq!(Precise::square(1e200).value(), f64::INFINITY);
        assert_eq!(Precise::square(0.1).high, 0.1 * 0.1);
    }

    #[test]
    fn what_is_divided_and_multiplied_again_is_the_same() {
        let third = Precise::of(1.0).divided(3.0);
        let whole = third.add(third).add(third);
        assert_eq!((whole.high, whole.low), (1.0, 0.0));
        assert_eq!(third.squared().add(third.squared()).value(), 2.0 / 9.0);
    }
}
