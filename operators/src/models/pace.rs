//! How long a step takes of late: the time that 99 of 100 runs stay below, or what each of the last few took, if that is more.
//! Of fewer than two hundred runs one is passed over, also when it is the very first: a version that has just come into force.
//! One run that was slow by chance is passed over, and a step that has become slow is known after a few runs.
//!
//! A step that is too slow for the time left is probed, seldom enough that probes take a fiftieth of the thread's time. What
//! was slow long ago gives way to probes that are fast: a step that only had bad luck is back after one of them or a few, so
//! about as many records go without an answer as would have had a late one. Pure: who asks says what time it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Slots for each doubling.
const SUB: u32 = 8;
/// Slots: up to minutes, in nanoseconds.
const SLOTS: usize = 40 * SUB as usize;
/// So many runs count at most; then the older half of the weight is given up.
const RECENT: u32 = 2_000;
/// How often the answer is made anew.
const EVERY: u32 = 32;
/// So many runs in a row that were slow are no chance.
const LAST: usize = 3;
/// Between the beginnings of two probes so many times what the first of them took: 2 % of the time goes to probes.
const REST: u64 = 50;
/// No pause between two probes is longer: a run that a halted machine made endless is asked about again.
const REST_MAX: Duration = Duration::from_secs(60);

/// A run that was made.
#[derive(Clone, Copy)]
struct Run {
    begun: Instant,
    nanos: u64,
}

impl Run {
    /// Whether so much time has passed since it began that another may be made to see whether the step has become faster.
    fn rested(self, now: Instant) -> bool {
        let rest = Duration::from_nanos(self.nanos.saturating_mul(REST));
        now.saturating_duration_since(self.begun) >= rest.min(REST_MAX)
    }
}

/// The pace of one step on one thread.
pub(super) struct Pace {
    slots: Box<[u32; SLOTS]>,
    total: u32,
    since: u32,
    /// The time that 99 of 100 runs stay below, in nanoseconds; 0 before the first.
    p99: u64,
    /// What the last runs took.
    last: [u64; LAST],
    newest: Option<Run>,
    /// The newest that was made although the time left seemed not to suffice.
    probe: Option<Run>,
    /// The time left of the probe that is being made.
    probing: Option<u64>,
    /// What is expected of the next run, for those who show it.
    shown: Arc<AtomicU64>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            slots: Box::new([0; SLOTS]),
            total: 0,
            since: 0,
            p99: 0,
            last: [0; LAST],
            newest: None,
            probe: None,
            probing: None,
            shown: Arc::default(),
        }
    }
}

fn slot_of(nanos: u64) -> usize {
    let nanos = nanos.max(u64::from(SUB));
    let power = 63 - nanos.leading_zeros();
    let sub = (nanos >> (power - 3)) & u64::from(SUB - 1);
    let slot = (power - 3) * SUB + u32::try_from(sub).unwrap_or_default();
    (slot as usize).min(SLOTS - 1)
}

/// The largest that falls into a slot.
fn top_of(slot: usize) -> u64 {
    let (power, sub) = (slot / SUB as usize, slot % SUB as usize);
    ((sub as u64 + u64::from(SUB) + 1) << power) - 1
}

impl Pace {
    /// A run that began then took so long.
    pub(super) fn observe(&mut self, begun: Instant, nanos: u64) {
        let run = Run { begun, nanos };
        self.newest = Some(run);
        self.last.rotate_left(1);
        self.last[LAST - 1] = nanos;
        self.slots[slot_of(nanos)] += 1;
        self.total += 1;
        self.since += 1;
        if self.total >= RECENT {
            self.weigh(0, |count| count / 2);
        }
        let probed = self.probing.take();
        if let Some(left) = probed {
            self.probe = Some(run);
            if nanos <= left {
                self.give_way(left);
            }
        }
        if self.since >= EVERY || self.total < EVERY || probed.is_some() {
            self.since = 0;
            self.p99 = self.quantile();
        }
        self.shown.store(self.expected(), Ordering::Relaxed);
    }

    /// A probe was fast enough: of what was too slow before half counts no longer, and nothing when the last few all were fast.
    fn give_way(&mut self, left: u64) {
        let fast = self.last.iter().all(|nanos| *nanos <= left);
        let same = slot_of(left);
        let slow = if top_of(same) > left { same } else { same + 1 };
        self.weigh(slow, |count| if fast { 0 } else { count / 2 });
    }

    /// Gives runs from this slot on another weight.
    fn weigh(&mut self, from: usize, weight: impl Fn(u32) -> u32) {
        for slot in self.slots.iter_mut().skip(from) {
            *slot = weight(*slot);
        }
        self.total = self.slots.iter().sum();
    }

    fn quantile(&self) -> u64 {
        let above = (self.total / 100).max(1);
        let mut seen = 0;
        for (slot, count) in self.slots.iter().enumerate().rev() {
            seen += count;
            if seen > above {
                return top_of(slot);
            }
        }
        0
    }

    fn each_of_the_last(&self) -> u64 {
        self.last.iter().min().copied().unwrap_or(0)
    }

    /// How long a run must be expected to take, in nanoseconds.
    fn expected(&self) -> u64 {
        self.p99.max(self.each_of_the_last())
    }

    /// Where it is told how long a run must be expected to take, in nanoseconds; 0 before there were any.
    pub(super) fn shown(&self) -> &Arc<AtomicU64> {
        &self.shown
    }

    /// Whether a run may be made now with so much time left. Where that does not suffice one is made all the same now and
    /// then, a probe: what is never run is never seen to have become faster.
    pub(super) fn fits(&mut self, left: i64, now: Instant) -> bool {
        self.probing = None;
        // What is late already is no faster for a probe.
        let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else {
            return false;
        };
        if self.expected() <= left {
            return true;
        }
        // Has it become slow, its newest run was as good as a probe; has it had bad luck, a run in between says nothing.
        let before = if self.each_of_the_last() > left {
            self.newest
        } else {
            self.probe
        };
        if before.is_some_and(|run| !run.rested(now)) {
            return false;
        }
        self.probing = Some(left);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    /// The time left of each record.
    const LEFT: u64 = 5 * MS;

    /// A thread that scores records one after another under a deadline.
    struct Thread {
        pace: Pace,
        now: Instant,
        scored: u32,
        /// Time that went to runs.
        spent: u64,
    }

    impl Thread {
        fn new() -> Self {
            Self {
                pace: Pace::default(),
                now: Instant::now(),
                scored: 0,
                spent: 0,
            }
        }

        /// The next record, whose run would take so long; then a pause until the one after it comes.
        fn record(&mut self, nanos: u64, pause: Duration) -> bool {
            let fits = self.pace.fits(LEFT.cast_signed(), self.now);
            let mut busy = Duration::ZERO;
            if fits {
                self.pace.observe(self.now, nanos);
                self.scored += 1;
                self.spent += nanos;
                busy = Duration::from_nanos(nanos);
            }
            self.now += busy.max(pause);
            fits
        }
    }

    /// 250 records a second.
    const PAUSE: Duration = Duration::from_millis(4);

    /// Numbers below a thousand by chance, the same in each run of the test.
    fn chance(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed;
        move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % 1_000
        }
    }

    #[test]
    fn the_pace_is_what_99_of_100_runs_stay_below() {
        let mut pace = Pace::default();
        let now = Instant::now();
        for run in 0..10_000_u64 {
            pace.observe(now, if run % 200 == 0 { 9 * MS } else { 4_000 });
        }
        assert!((4_000..5_000).contains(&pace.p99), "{}", pace.p99);
        assert_eq!(pace.shown().load(Ordering::Relaxed), pace.p99);
        for _ in 0..200 {
            pace.observe(now, 9 * MS);
        }
        assert!(pace.p99 >= 9 * MS);
        assert_eq!(pace.shown().load(Ordering::Relaxed), pace.p99);
    }

    #[test]
    fn no_run_is_made_for_which_the_time_left_does_not_suffice() {
        let mut pace = Pace::default();
        let now = Instant::now();
        for _ in 0..3 {
            pace.observe(now, 3 * MS);
        }
        assert!(pace.fits(5_000_000, now));
        assert!(!pace.fits(2_000_000, now));
        // It is late already, however long nothing was tried.
        let much_later = now + Duration::from_secs(3_600);
        assert!(!pace.fits(0, much_later));
        assert!(!pace.fits(-1, much_later));
    }

    #[test]
    fn a_step_that_becomes_slow_is_known_after_three_runs_and_one_slow_run_is_passed_over() {
        let mut thread = Thread::new();
        for _ in 0..3_000 {
            thread.record(4_000, PAUSE);
        }
        for _ in 0..3 {
            assert!(thread.record(39 * MS, PAUSE));
        }
        assert!(!thread.record(39 * MS, PAUSE));
    }

    #[test]
    fn one_slow_run_among_the_first_hundreds_is_passed_over_and_a_second_is_not() {
        for slow in [0, 1, 2, LAST, 20, 31, 32, 63, 99, 150] {
            let mut thread = Thread::new();
            for run in 0..200 {
                let nanos = if run == slow { 9 * MS } else { 4_000 };
                assert!(thread.record(nanos, PAUSE), "{slow} {run}");
            }
            assert!(thread.pace.expected() < LEFT);
        }
        let mut thread = Thread::new();
        for run in 0..EVERY {
            let nanos = if run % 20 == 5 { 9 * MS } else { 4_000 };
            thread.pace.observe(thread.now, nanos);
        }
        assert!(thread.pace.expected() > LEFT);
    }

    #[test]
    fn a_model_of_which_fewer_than_one_run_in_a_hundred_is_slow_scores_almost_all_records() {
        for seed in 0..20 {
            let mut thread = Thread::new();
            let mut number = chance(seed);
            for _ in 0..30_000 {
                let nanos = if number() < 8 { 16 * MS } else { MS / 5 };
                thread.record(nanos, PAUSE);
            }
            assert!(thread.scored > 29_100, "{seed}: {}", thread.scored);
        }
    }

    #[test]
    fn the_more_runs_are_slow_the_more_records_go_without_one() {
        let mut before = 0;
        for (slow, least, most) in [
            (50, 500, 3_000),
            (200, 15_000, 24_000),
            (500, 28_000, 29_900),
        ] {
            let mut thread = Thread::new();
            let mut number = chance(7);
            for _ in 0..30_000 {
                let nanos = if number() < slow { 16 * MS } else { MS / 5 };
                thread.record(nanos, PAUSE);
            }
            let without = 30_000 - thread.scored;
            assert!((least..most).contains(&without), "{slow}: {without}");
            assert!(without > before, "{slow}: {without}");
            before = without;
        }
    }

    #[test]
    fn a_model_that_stays_slow_is_out_after_three_runs_and_its_probes_take_two_hundredths_of_the_time()
     {
        for nanos in [6 * MS, 39 * MS, 700 * MS] {
            let mut thread = Thread::new();
            for _ in 0..1_000 {
                thread.record(4_000, PAUSE);
            }
            (thread.scored, thread.spent) = (0, 0);
            let begun = thread.now;
            let first: Vec<bool> = (0..4).map(|_| thread.record(nanos, PAUSE)).collect();
            assert_eq!(first, [true, true, true, false]);
            for _ in 0..60_000 {
                thread.record(nanos, PAUSE);
            }
            let passed = (thread.now - begun).as_nanos();
            let share = u128::from(thread.spent) * 1_000 / passed;
            assert!(share < 30, "{nanos}: {share} of a thousand");
            // It is asked about, though.
            assert!(thread.scored > 5, "{nanos}: {}", thread.scored);
        }
    }

    #[test]
    fn a_model_that_is_fast_again_is_back_within_a_second_of_the_probe_that_shows_it() {
        for (slow, minutes, fast) in [(6, 1, 4_000), (16, 30, MS / 5), (39, 60, 4 * MS)] {
            let mut thread = Thread::new();
            for _ in 0..1_000 {
                thread.record(fast, PAUSE);
            }
            for _ in 0..minutes * 60 * 250 {
                thread.record(slow * MS, PAUSE);
            }
            let begun = thread.now;
            while !thread.record(fast, PAUSE) {}
            let shown = thread.now - begun;
            assert!(shown <= Duration::from_millis(slow * REST + 4), "{shown:?}");
            let mut without = 0;
            for _ in 0..2_500 {
                without += u32::from(!thread.record(fast, PAUSE));
            }
            assert!(without < 250, "{slow} {fast}: {without}");
            assert!(thread.pace.expected() < LEFT);
        }
    }

    #[test]
    fn a_machine_that_stood_still_during_a_probe_is_asked_again_after_a_minute() {
        let mut thread = Thread::new();
        let hour = 3_600_000 * MS;
        for _ in 0..3 {
            thread.pace.observe(thread.now, hour);
        }
        assert!(!thread.pace.fits(5_000_000, thread.now + REST_MAX / 2));
        assert!(thread.pace.fits(5_000_000, thread.now + REST_MAX));
    }

    #[test]
    fn every_time_falls_into_a_slot_that_is_at_most_an_eighth_wider() {
        for nanos in [8, 9, 100, 4_321, 1_000_000, 77_000_000_000] {
            let top = top_of(slot_of(nanos));
            assert!(top >= nanos && top - nanos <= nanos / 8, "{nanos} {top}");
        }
    }
}
