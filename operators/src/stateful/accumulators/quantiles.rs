//! A sketch of many numbers that knows each of their quantiles up to a given share of them (Greenwald and Khanna, "Space-
//! efficient online computation of quantile summaries"), in Spark's form, so that answers agree.

/// New numbers that are kept apart before they are sorted in.
const HEAD_MAX: usize = 2048;
/// Samples from which on a sketch is thinned.
const SAMPLES_MAX: usize = 10_000;

/// A number, how many it stands for, and by how many its rank may be too low.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) value: f64,
    pub(super) stands_for: u64,
    pub(super) delta: u64,
}

/// What is known of the numbers that came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sketch {
    /// Rising.
    pub(super) samples: Vec<Sample>,
    /// Of how many numbers.
    pub(super) count: u64,
    /// Those that are not sorted in.
    pub(super) head: Vec<f64>,
}

impl Sketch {
    /// Whether the next number makes a new sketch of it, so that the old one cannot be had back by shortening its head.
    pub(super) fn is_full(&self) -> bool {
        self.head.len() + 1 >= HEAD_MAX
    }

    /// Adds a number; the error is a share of all.
    pub(super) fn add(&mut self, value: f64, error: f64) {
        self.head.push(value);
        if self.head.len() >= HEAD_MAX {
            self.sort_in(error);
            if self.samples.len() >= SAMPLES_MAX {
                self.thin(error);
            }
        }
    }

    fn sort_in(&mut self, error: f64) {
        let mut head = std::mem::take(&mut self.head);
        if head.is_empty() {
            return;
        }
        head.sort_by(f64::total_cmp);
        let mut samples = Vec::with_capacity(self.samples.len() + head.len());
        let mut known = self.samples.iter().peekable();
        for (place, &value) in head.iter().enumerate() {
            while let Some(sample) = known.next_if(|s| s.value.total_cmp(&value).is_le()) {
                samples.push(*sample);
            }
            self.count += 1;
            let last = known.peek().is_none() && place + 1 == head.len();
            let delta = if samples.is_empty() || last {
                0
            } else {
                share_of(self.count, 2.0 * error)
            };
            samples.push(Sample {
                value,
                stands_for: 1,
                delta,
            });
        }
        samples.extend(known);
        self.samples = samples;
    }

    /// Merges samples as far as the error allows.
    pub(super) fn thin(&mut self, error: f64) {
        self.sort_in(error);
        #[allow(clippy::cast_precision_loss)]
        let limit = 2.0 * error * self.count as f64;
        let Some((&first, &last)) = self.samples.first().zip(self.samples.last()) else {
            return;
        };
        let mut kept = Vec::new();
        let mut head = last;
        let middle = self.samples.len().saturating_sub(1);
        for sample in self.samples[..middle].iter().skip(1).rev() {
            #[allow(clippy::cast_precision_loss)]
            let together = (sample.stands_for + head.stands_for + head.delta) as f64;
            if together < limit {
                head.stands_for += sample.stands_for;
            } else {
                kept.push(head);
                head = *sample;
            }
        }
        kept.push(head);
        if self.samples.len() > 1 && first.value.total_cmp(&head.value).is_le() {
            kept.push(first);
        }
        kept.reverse();
        self.samples = kept;
    }

    /// Adds all that another has.
    pub(super) fn merge(&mut self, other: &Self, error: f64) {
        let mut other = other.clone();
        other.thin(error);
        self.thin(error);
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = other;
            return;
        }
        let more = [&other, &*self].map(|sketch| share_of(sketch.count, 2.0 * error));
        let mut merged = Vec::with_capacity(self.samples.len() + other.samples.len());
        let (mut own, mut its) = (0, 0);
        while own < self.samples.len() && its < other.samples.len() {
            let (a, b) = (self.samples[own], other.samples[its]);
            // What stands between two samples of the other may have any rank between theirs.
            let (mut next, between, more) = if a.value.total_cmp(&b.value).is_lt() {
                own += 1;
                (a, its > 0, more[0])
            } else {
                its += 1;
                (b, own > 0, more[1])
            };
            if between {
                next.delta += more;
            }
            merged.push(next);
        }
        merged.extend_from_slice(&self.samples[own..]);
        merged.extend_from_slice(&other.samples[its..]);
        self.samples = merged;
        self.count += other.count;
        self.thin(error);
    }

    /// The least number that at least this share of all does not exceed, about; None of none.
    pub(super) fn quantile(&self, share: f64, error: f64) -> Option<f64> {
        let (first, last) = (self.samples.first()?, self.samples.last()?);
        if share <= error || self.count == 1 {
            return Some(first.value);
        }
        if share >= 1.0 - error {
            return Some(last.value);
        }
        let off = |sample: &Sample| sample.stands_for + sample.delta;
        let off = self.samples.iter().map(off).max().unwrap_or(0) / 2;
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let rank = (share * self.count as f64).ceil() as u64;
        let mut least = 0;
        let (_, before) = self.samples.split_last()?;
        for sample in before {
            least += sample.stands_for;
            if (least + sample.delta).saturating_sub(off) <= rank && rank <= least + off {
                return Some(sample.value);
            }
        }
        Some(last.value)
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.samples.capacity() * size_of::<Sample>() + self.head.capacity() * 8
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
fn share_of(count: u64, share: f64) -> u64 {
    (count as f64 * share).floor() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use thalweg_engine::testing::cases;

    use super::*;

    /// Whether a number's rank is within the error of the wanted one.
    fn near(sorted: &[f64], value: f64, share: f64, error: f64) -> bool {
        let rank = share * sorted.len() as f64;
        let allowed = error * sorted.len() as f64 + 1.0;
        let below = sorted.partition_point(|x| *x < value) as f64;
        let upto = sorted.partition_point(|x| *x <= value) as f64;
        below - allowed <= rank && rank <= upto + allowed
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(cases(24)))]

        #[test]
        fn a_quantile_is_right_up_to_the_error(
            parts in prop::collection::vec(prop::collection::vec(-1000_i32..1000, 0..6000), 1..4),
            accuracy in prop::sample::select(vec![5.0, 50.0, 1000.0]),
        ) {
            let error = 1.0 / accuracy;
            let mut all = Sketch::default();
            for part in &parts {
                let mut sketch = Sketch::default();
                part.iter().for_each(|x| sketch.add(f64::from(*x), error));
                all.merge(&sketch, error);
            }
            let mut sorted: Vec<f64> = parts.concat().into_iter().map(f64::from).collect();
            sorted.sort_by(f64::total_cmp);
            prop_assert_eq!(all.count, sorted.len() as u64);
            for share in [0.0, 0.1, 0.5, 0.9, 0.99, 1.0] {
                match all.quantile(share, error) {
                    None => prop_assert!(sorted.is_empty()),
                    // Merging may take the error twice.
                    Some(value) => prop_assert!(near(&sorted, value, share, 2.0 * error), "{share}: {value}"),
                }
            }
        }
    }

    #[test]
    fn few_numbers_are_all_kept_and_many_are_not() {
        let mut few = Sketch::default();
        (0..100).for_each(|n| few.add(f64::from(n), 1e-4));
        few.thin(1e-4);
        assert_eq!(few.samples.len(), 100);
        let mut many = Sketch::default();
        (0..200_000).for_each(|n| many.add(f64::from(n * 7919 % 200_000), 1e-2));
        many.thin(1e-2);
        assert!(many.samples.len() < 500, "{}", many.samples.len());
    }
}
