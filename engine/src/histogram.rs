//! Histograms of latencies: log-linear slots, whose `observe` is two relaxed atomic additions.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus::proto;

/// Sub-buckets per power of two: a relative error of at most 1/32.
const SUB_BITS: u32 = 5;
const SUB: usize = 1 << SUB_BITS;
/// Powers of two covered beyond the linear start: up to 2^37 microseconds.
const POWERS: usize = 32;
const SLOTS: usize = SUB * (POWERS + 1);

/// A histogram of microseconds, safe to share: log-linear buckets with a relative error of 3 %.
pub struct Histogram {
    slots: Box<[AtomicU64]>,
    sum: AtomicU64,
    max: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
            max: AtomicU64::new(0),
        }
    }
}

fn slot_of(micros: u64) -> usize {
    if micros < SUB as u64 {
        return usize::try_from(micros).unwrap_or(0);
    }
    let power = 63 - micros.leading_zeros();
    let shift = power - SUB_BITS;
    let sub = usize::try_from(micros >> shift).unwrap_or(SUB) - SUB;
    ((shift as usize + 1) * SUB + sub).min(SLOTS - 1)
}

/// The largest value that falls into the slot.
fn top_of(slot: usize) -> u64 {
    if slot < SUB {
        return slot as u64;
    }
    let shift = slot / SUB - 1;
    (((slot % SUB + SUB + 1) as u64) << shift) - 1
}

impl Histogram {
    /// Notes one duration in microseconds.
    #[inline]
    pub fn observe(&self, micros: u64) {
        self.slots[slot_of(micros)].fetch_add(1, Relaxed);
        self.sum.fetch_add(micros, Relaxed);
        if micros > self.max.load(Relaxed) {
            self.max.fetch_max(micros, Relaxed);
        }
    }

    /// Notes one duration.
    #[inline]
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// How many were noted.
    pub fn count(&self) -> u64 {
        self.slots.iter().map(|slot| slot.load(Relaxed)).sum()
    }

    /// All of them together, in microseconds.
    pub fn sum(&self) -> u64 {
        self.sum.load(Relaxed)
    }

    /// The largest, in microseconds.
    pub fn max(&self) -> u64 {
        self.max.load(Relaxed)
    }

    /// The value below which the share `quantile` (0 to 1) lies, in microseconds, rounded up by at most 3 %; 0 when
    /// nothing was noted.
    pub fn quantile(&self, quantile: f64) -> u64 {
        let total = self.count();
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            clippy::cast_possible_truncation
        )]
        let wanted = ((total as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        for (slot, count) in self.slots.iter().enumerate() {
            seen += count.load(Relaxed);
            if seen >= wanted {
                return top_of(slot).min(self.max());
            }
        }
        0
    }

    /// As a Prometheus histogram in seconds with the given upper bounds in microseconds, ascending.
    pub fn export(&self, bounds: &[u64]) -> proto::Histogram {
        self.export_of(bounds, 1e6)
    }

    /// The same of a histogram of another unit, of which so many are a second.
    pub(crate) fn export_of(&self, bounds: &[u64], a_second: f64) -> proto::Histogram {
        #[allow(clippy::cast_precision_loss)]
        let seconds = |value: u64| value as f64 / a_second;
        let mut buckets = Vec::with_capacity(bounds.len());
        let mut slots = self.slots.iter().enumerate().peekable();
        let mut cumulative = 0;
        for &bound in bounds {
            while let Some((_, count)) = slots.next_if(|(slot, _)| top_of(*slot) <= bound) {
                cumulative += count.load(Relaxed);
            }
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(seconds(bound));
            bucket.set_cumulative_count(cumulative);
            buckets.push(bucket);
        }
        let total = cumulative + slots.map(|(_, count)| count.load(Relaxed)).sum::<u64>();
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(total);
        histogram.set_sample_sum(seconds(self.sum.load(Relaxed)));
        histogram
    }
}

/// What a [`Histogram`] notes from one look to the next.
pub struct Window {
    before: Box<[u64]>,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            before: vec![0; SLOTS].into(),
        }
    }
}

impl Window {
    /// How many were noted since the last look, and for each share (ascending, 0 to 1) the value below which so many of
    /// them lie, in microseconds; None where there were none.
    pub fn look<const N: usize>(
        &mut self,
        of: &Histogram,
        shares: [f64; N],
    ) -> (u64, Option<[u64; N]>) {
        let mut total = 0;
        let mut new = Vec::new();
        // Nothing lies beyond the largest; what is noted at this moment is counted by the next look.
        let used = slot_of(of.max()) + 1;
        let slots = of.slots.iter().zip(&mut self.before).take(used);
        for (slot, (count, before)) in slots.enumerate() {
            let count = count.load(Relaxed);
            let more = count - std::mem::replace(before, count);
            if more > 0 {
                total += more;
                new.push((slot, total));
            }
        }
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            clippy::cast_possible_truncation
        )]
        let values = shares.map(|share| {
            let wanted = ((total as f64 * share).ceil() as u64).max(1);
            let found = new.iter().find(|(_, seen)| *seen >= wanted);
            found.map_or(0, |(slot, _)| top_of(*slot).min(of.max()))
        });
        (total, (total > 0).then_some(values))
    }
}

/// Observations of one owner on their way to a shared [`Histogram`]. What follows each other mostly falls into the same
/// slot, and goes there together.
#[derive(Default)]
pub struct Run {
    slot: usize,
    count: u64,
    sum: u64,
    max: u64,
}

impl Run {
    /// Notes one duration in microseconds, now or with the next that differ.
    #[inline]
    pub fn observe(&mut self, to: &Histogram, micros: u64) {
        let slot = slot_of(micros);
        if slot != self.slot {
            self.hand_over(to);
            self.slot = slot;
        }
        self.count += 1;
        self.sum += micros;
        self.max = self.max.max(micros);
    }

    /// Hands over what was noted.
    pub fn hand_over(&mut self, to: &Histogram) {
        if self.count > 0 {
            to.slots[self.slot].fetch_add(self.count, Relaxed);
            to.sum.fetch_add(self.sum, Relaxed);
            to.max.fetch_max(self.max, Relaxed);
        }
        *self = Self::default();
    }
}

/// Upper bounds in microseconds: 10 us to 10 s.
pub const BOUNDS: [u64; 19] = [
    10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000,
    500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_lies_in_its_slot_within_three_percent(micros in 0_u64..1 << 36) {
            let top = top_of(slot_of(micros));
            prop_assert!(top >= micros);
            prop_assert!(top - micros <= micros / 32 + 1);
        }
    }

    #[test]
    fn quantiles_of_a_thousand_even_latencies() {
        let histogram = Histogram::default();
        for micros in 1..=1000 {
            histogram.observe(micros);
        }
        assert!((485..=520).contains(&histogram.quantile(0.5)));
        assert!((985..=1000).contains(&histogram.quantile(0.99)));
        assert_eq!(histogram.quantile(1.0), 1000);
        assert_eq!(histogram.max(), 1000);
    }

    #[test]
    fn a_run_arrives_as_if_each_had_been_noted_by_itself() {
        let (histogram, plain, mut run) =
            (Histogram::default(), Histogram::default(), Run::default());
        for micros in [0, 0, 3, 3, 3, 90, 0, 7_000] {
            run.observe(&histogram, micros);
            plain.observe(micros);
        }
        run.hand_over(&histogram);
        run.hand_over(&histogram);
        assert_eq!(histogram.count(), 8);
        for quantile in [0.1, 0.5, 0.8, 1.0] {
            assert_eq!(histogram.quantile(quantile), plain.quantile(quantile));
        }
    }

    #[test]
    fn a_window_shows_what_came_since_the_last_look() {
        let histogram = Histogram::default();
        let mut window = Window::default();
        assert_eq!(window.look(&histogram, [0.5]), (0, None));
        (1..=100).for_each(|_| histogram.observe(5));
        assert_eq!(window.look(&histogram, [0.5, 0.99]), (100, Some([5, 5])));
        (1..=10).for_each(|micros| histogram.observe(micros));
        assert_eq!(window.look(&histogram, [0.5, 1.0]), (10, Some([5, 10])));
        assert_eq!(window.look(&histogram, [0.5]), (0, None));
    }
}
