//! How long a step takes of late: the time that 99 of 100 calls stay below, or what each of the last few took, if that is more.
//! Of the first hundred calls one is passed over, also when it is the very first: a version that has just come into force.
//! One call that was slow by chance is passed over, and a step that has become slow is known after a few calls. Pure.

/// Slots for each doubling.
const SUB: u32 = 8;
/// Slots: up to minutes, in nanoseconds.
const SLOTS: usize = 40 * SUB as usize;
/// So many calls count; then the older half of the weight is given up.
const RECENT: u32 = 4_096;
/// How often the answer is made anew.
const EVERY: u32 = 32;
/// So many calls in a row that were slow are no chance.
const LAST: usize = 3;
/// So many calls in a row that were not made; then one is made to see whether the step has become faster.
const SILENT_MAX: u32 = 2_000;

/// The pace of one step on one thread.
pub(super) struct Pace {
    slots: Box<[u32; SLOTS]>,
    total: u32,
    since: u32,
    /// The time that 99 of 100 calls stay below, in nanoseconds; 0 before the first.
    p99: u64,
    /// What the last calls took.
    last: [u64; LAST],
    silent: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            slots: Box::new([0; SLOTS]),
            total: 0,
            since: 0,
            p99: 0,
            last: [0; LAST],
            silent: 0,
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
    /// A call took so long.
    pub(super) fn observe(&mut self, nanos: u64) {
        self.silent = 0;
        self.last.rotate_left(1);
        self.last[LAST - 1] = nanos;
        self.slots[slot_of(nanos)] += 1;
        self.total += 1;
        self.since += 1;
        if self.total >= RECENT {
            self.total = 0;
            for slot in &mut *self.slots {
                *slot /= 2;
                self.total += *slot;
            }
        }
        if self.since >= EVERY || self.total < EVERY {
            self.since = 0;
            self.p99 = self.quantile();
        }
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

    /// How long a call must be expected to take, in nanoseconds.
    fn expected(&self) -> u64 {
        let each_of_the_last = self.last.iter().min().copied();
        self.p99.max(each_of_the_last.unwrap_or(0))
    }

    /// Whether a call may be made with so much time left. Of many in a row that may not, one is made all the same: what is
    /// never called is never seen to have become faster.
    pub(super) fn fits(&mut self, left: i64) -> bool {
        if i64::try_from(self.expected()).is_ok_and(|expected| expected <= left) && left > 0 {
            self.silent = 0;
            return true;
        }
        self.silent += 1;
        if self.silent <= SILENT_MAX {
            return false;
        }
        // What was measured long ago counts for less than what is seen now.
        self.slots.fill(0);
        self.total = 0;
        self.silent = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_what_99_of_100_calls_stay_below() {
        let mut pace = Pace::default();
        for call in 0..10_000_u64 {
            pace.observe(if call % 200 == 0 { 9_000_000 } else { 4_000 });
        }
        assert!((4_000..5_000).contains(&pace.p99), "{}", pace.p99);
        for _ in 0..200 {
            pace.observe(9_000_000);
        }
        assert!(pace.p99 >= 9_000_000);
    }

    #[test]
    fn no_call_is_made_for_which_the_time_left_does_not_suffice() {
        let mut pace = Pace::default();
        pace.observe(3_000_000);
        pace.observe(3_000_000);
        assert!(pace.fits(5_000_000));
        assert!(!pace.fits(2_000_000));
        assert!(!pace.fits(-1));
    }

    #[test]
    fn a_step_that_becomes_slow_is_known_after_three_calls_and_one_slow_call_is_passed_over() {
        let mut pace = Pace::default();
        for _ in 0..3_000 {
            pace.observe(4_000);
        }
        for _ in 0..2 {
            pace.observe(40_000_000);
            assert!(pace.fits(5_000_000));
        }
        pace.observe(40_000_000);
        assert!(!pace.fits(5_000_000));
        // The one that is made all the same was fast: the slow ones were a matter of the moment.
        assert!((0..=SILENT_MAX).any(|_| pace.fits(5_000_000)));
        pace.observe(4_000);
        assert!(pace.fits(5_000_000));
    }

    #[test]
    fn one_slow_call_among_the_first_hundred_is_passed_over_and_a_second_is_not() {
        for slow in [0, 1, 2, LAST, 20, 31, 32, 63, 99] {
            let mut pace = Pace::default();
            for call in 0..100 {
                pace.observe(if call == slow { 9_000_000 } else { 4_000 });
                assert!(pace.fits(5_000_000), "{slow} {call}");
            }
        }
        let mut pace = Pace::default();
        for call in 0..EVERY {
            pace.observe(if call % 20 == 5 { 9_000_000 } else { 4_000 });
        }
        assert!(!pace.fits(5_000_000));
    }

    #[test]
    fn a_step_that_was_slow_is_tried_again_now_and_then() {
        let mut pace = Pace::default();
        pace.observe(50_000_000);
        pace.observe(50_000_000);
        let calls = (0..10_000).filter(|_| pace.fits(5_000_000)).count();
        assert_eq!(calls, 4);
        // It has become fast.
        pace.observe(4_000);
        assert!(pace.fits(5_000_000));
    }

    #[test]
    fn every_time_falls_into_a_slot_that_is_at_most_an_eighth_wider() {
        for nanos in [8, 9, 100, 4_321, 1_000_000, 77_000_000_000] {
            let top = top_of(slot_of(nanos));
            assert!(top >= nanos && top - nanos <= nanos / 8, "{nanos} {top}");
        }
    }
}
