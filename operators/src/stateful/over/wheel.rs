//! Which keys have rows that the watermark will forget next: keys by the time of their oldest row, coarsely.

use std::collections::BTreeMap;

/// Slots of keys, by when their oldest row is forgotten.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    /// How much time is looked at together.
    step: i64,
    slots: BTreeMap<i64, Vec<u32>>,
}

impl Wheel {
    /// One for rows that are kept for `longest`.
    pub(super) fn new(longest: i64) -> Self {
        Self {
            step: (longest / 32).max(1),
            slots: BTreeMap::new(),
        }
    }

    /// The slot has a row that is forgotten when the watermark has passed `until`.
    pub(super) fn add(&mut self, slot: u32, until: i64) {
        let place = until.div_euclid(self.step);
        self.slots.entry(place).or_default().push(slot);
    }

    /// One slot whose time has come, each once.
    pub(super) fn pop(&mut self, watermark: i64) -> Option<u32> {
        let mut first = self.slots.first_entry()?;
        // All of a place is over only at its end.
        if *first.key() >= watermark.div_euclid(self.step) {
            return None;
        }
        let slot = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_out_when_their_time_is_over() {
        let mut wheel = Wheel::new(320);
        wheel.add(1, 15);
        wheel.add(2, 19);
        wheel.add(3, 20);
        assert_eq!(wheel.pop(19), None);
        assert_eq!(wheel.pop(20), Some(2));
        assert_eq!(wheel.pop(25), Some(1));
        assert_eq!(wheel.pop(29), None);
        assert_eq!(wheel.pop(1000), Some(3));
        assert_eq!(wheel.pop(1000), None);
    }
}
