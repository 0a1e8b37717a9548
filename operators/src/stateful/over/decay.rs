//! Counts and sums that fade: what a row adds is halved with each half-life that has passed since its time.
//!
//! Kept is the sum as it stands at the newest time that has come, the reference. A row that is newer lets the sum fade to its
//! own time, which is the reference from then on; one that is late adds what is left of it at the reference. So the order in
//! which rows come makes no difference, and the work for each is the same.

use thalweg_engine::record::Micros;
use thalweg_engine::row::Value;

use crate::stateful::over::cell::Cell;
use crate::stateful::over::order::NULL_TIME;

/// What a row adds before it fades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adds {
    /// One.
    Row,
    /// One where its value is not NULL.
    Present,
    /// Its value, a double.
    Value,
}

/// How a sum fades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decay {
    pub(super) half_life: Micros,
    pub(super) adds: Adds,
}

/// Words of its accumulator: how many values, the reference, the sum.
pub(super) const WORDS: usize = 3;

/// What turns times into words of which zero is the least.
const SIGN: u64 = 1 << 63;

/// The reference of an accumulator; one without any is before all times, so that nothing but zeros is empty.
fn reference(words: &[u64]) -> Micros {
    (words[1] ^ SIGN).cast_signed()
}

fn set_reference(words: &mut [u64], time: Micros) {
    words[1] = time.cast_unsigned() ^ SIGN;
}

impl Decay {
    /// What its state is called.
    pub(super) fn name(self) -> String {
        let what = match self.adds {
            Adds::Row => "count of rows",
            Adds::Present => "count",
            Adds::Value => "sum",
        };
        format!("{what} halved in {} us", self.half_life)
    }

    /// What is left after this time.
    #[allow(clippy::cast_precision_loss)]
    fn left(self, after: Micros) -> f64 {
        (-(after as f64) / self.half_life as f64).exp2()
    }

    /// Adds a row of this time. One without a time has faded already.
    pub(super) fn add(self, words: &mut [u64], time: Micros, cell: Cell<'_>) {
        if time == NULL_TIME {
            return;
        }
        let newest = reference(words);
        let sum = f64::from_bits(words[2]);
        if time > newest {
            words[2] = self.faded(sum, time.saturating_sub(newest)).to_bits();
            set_reference(words, time);
        }
        let amount = match (self.adds, cell) {
            (Adds::Row, _) => 1.0,
            (_, Cell::Null) => return,
            (Adds::Value, Cell::Word(word)) => f64::from_bits(word),
            _ => 1.0,
        };
        words[0] += 1;
        let late = reference(words).saturating_sub(time);
        let sum = f64::from_bits(words[2]) + self.faded(amount, late);
        words[2] = sum.to_bits();
    }

    /// An amount after this time. Nothing stays nothing, and what never fades (an infinity) is not multiplied away.
    fn faded(self, amount: f64, after: Micros) -> f64 {
        if after == 0 || amount == 0.0 || !amount.is_finite() {
            amount
        } else {
            amount * self.left(after)
        }
    }

    /// The sum as it stands at this time, or at the reference where that is later. NULL where no value came, which is a count
    /// of zero.
    pub(super) fn value(self, words: &[u64], time: Micros) -> Value {
        if words[0] == 0 && self.adds == Adds::Value {
            return Value::Null;
        }
        let after = time.saturating_sub(reference(words)).max(0);
        Value::Double(self.faded(f64::from_bits(words[2]), after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: Decay = Decay {
        half_life: 10,
        adds: Adds::Value,
    };

    fn sum(rows: &[(Micros, f64)]) -> [u64; WORDS] {
        let mut words = [0; WORDS];
        for (time, amount) in rows {
            SUM.add(&mut words, *time, Cell::Word(amount.to_bits()));
        }
        words
    }

    #[test]
    fn an_amount_is_half_after_its_half_life_whatever_the_order() {
        for rows in [[(0, 8.0), (10, 4.0)], [(10, 4.0), (0, 8.0)]] {
            let words = sum(&rows);
            assert_eq!(SUM.value(&words, 10), Value::Double(8.0));
            assert_eq!(SUM.value(&words, 30), Value::Double(2.0));
            // What stood before the newest time is not kept.
            assert_eq!(SUM.value(&words, 0), Value::Double(8.0));
        }
        assert_eq!(
            sum(&[(-20, 1.0), (-10, 1.0)]),
            sum(&[(-10, 1.0), (-20, 1.0)])
        );
    }

    #[test]
    fn nothing_came_and_what_has_no_time_counts_nothing() {
        assert_eq!(SUM.value(&[0; WORDS], 5), Value::Null);
        assert_eq!(sum(&[(NULL_TIME, 3.0)]), [0; WORDS]);
        let count = Decay {
            adds: Adds::Row,
            ..SUM
        };
        assert_eq!(count.value(&[0; WORDS], 5), Value::Double(0.0));
    }

    #[test]
    fn what_is_long_ago_is_nothing_and_an_infinity_stays() {
        let words = sum(&[(0, 1e300), (1_000_000, 1.0)]);
        assert_eq!(SUM.value(&words, 1_000_000), Value::Double(1.0));
        let words = sum(&[(0, f64::INFINITY), (i64::MAX, 1.0)]);
        assert_eq!(SUM.value(&words, i64::MAX), Value::Double(f64::INFINITY));
    }
}
