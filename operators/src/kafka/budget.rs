//! `maxOffsetsPerTrigger`: a bucket of records that all partitions of an input share.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use thalweg_engine::clock;

/// How often a continuous bucket is filled.
const SLICE: Duration = Duration::from_millis(50);

/// Records that may still be taken. Filled by the input's thread, emptied by its readers.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicI64,
    /// Records per `interval`.
    quota: u64,
    /// The time over which the quota is spread or, with a trigger, after which it is given anew.
    interval: Duration,
    continuous: bool,
}

impl Budget {
    /// A bucket of `quota` records per trigger interval, or per second when there is none.
    pub(crate) fn new(quota: u64, trigger: Option<Duration>, now: Instant) -> Self {
        let trigger = trigger.filter(|interval| !interval.is_zero());
        let budget = Self {
            left: AtomicI64::new(0),
            quota,
            interval: trigger.unwrap_or(Duration::from_secs(1)),
            continuous: trigger.is_none(),
        };
        if trigger.is_some() {
            budget.fill(now, Duration::ZERO, &mut 0.0);
        }
        budget
    }

    fn whole(&self) -> i64 {
        i64::try_from(self.quota).unwrap_or(i64::MAX)
    }

    /// When [`Budget::fill`] is to be called next: with a trigger at its beat, and when that has been heard.
    pub(crate) fn due(&self, now: Instant) -> Instant {
        if self.continuous {
            return now + SLICE;
        }
        clock::hush(self.interval, now).unwrap_or_else(|| clock::next_beat(self.interval, now))
    }

    /// The time since the last call was `elapsed`: gives what has become due and says whether readers may go on. A
    /// continuous bucket never holds more than one second's records; with a trigger what is left lapses at its beat.
    pub(crate) fn fill(&self, now: Instant, elapsed: Duration, carried: &mut f64) -> bool {
        if !self.continuous {
            let hushed = clock::hush(self.interval, now).is_some();
            let left = if hushed { 0 } else { self.whole() };
            self.left.store(left, Ordering::Release);
            return !hushed;
        }
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
        let due = {
            let exact = self.quota as f64 * elapsed.as_secs_f64() + *carried;
            let whole = exact.floor();
            *carried = (exact - whole).clamp(0.0, 1.0);
            whole as i64
        };
        let limit = self.whole();
        self.left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                Some(left.saturating_add(due).min(limit))
            })
            .is_ok_and(|before| before.saturating_add(due) > 0)
    }

    /// Takes one record, if one is left.
    pub(crate) fn take(&self) -> bool {
        self.left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                (left > 0).then(|| left - 1)
            })
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &Budget) -> u64 {
        let mut count = 0;
        while budget.take() {
            count += 1;
        }
        count
    }

    #[test]
    fn a_continuous_bucket_gives_its_quota_per_second_and_loses_no_fraction() {
        let budget = Budget::new(30, None, Instant::now());
        let mut carried = 0.0;
        let mut all = 0;
        for _ in 0..200 {
            budget.fill(Instant::now(), Duration::from_millis(50), &mut carried);
            all += taken(&budget);
        }
        assert!((299..=300).contains(&all), "{all}");
    }

    #[test]
    fn a_continuous_bucket_holds_one_second_at_most() {
        let budget = Budget::new(10, None, Instant::now());
        budget.fill(Instant::now(), Duration::from_secs(100), &mut 0.0);
        assert_eq!(taken(&budget), 10);
    }

    #[test]
    fn a_trigger_gives_the_whole_quota_each_interval_and_what_is_left_lapses_at_its_beat() {
        let interval = Duration::from_secs(8);
        let beat = clock::next_beat(interval, Instant::now());
        let budget = Budget::new(7, Some(interval), beat - interval / 2);
        assert!(budget.take());
        assert!(!budget.fill(beat, interval, &mut 0.0));
        assert!(!budget.take(), "that would be told with the batch before");
        let heard = budget.due(beat);
        assert!(heard > beat && heard < beat + interval / 10);
        assert!(budget.fill(heard, interval, &mut 0.0));
        assert_eq!(taken(&budget), 7);
        assert_eq!(budget.due(heard), beat + interval);
        let late = beat + interval;
        assert!(
            !Budget::new(7, Some(interval), late).take(),
            "nor where reading begins just then"
        );
    }
}
