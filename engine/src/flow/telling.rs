//! How many of equal log lines are written: a few, and how many were left out. Pure.

use std::time::{Duration, Instant};

/// Lines in a stretch of [`STRETCH`].
const LINES_MAX: u32 = 20;
const STRETCH: Duration = Duration::from_secs(10);

/// Says of each line whether it is written.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// When the stretch began.
    begun: Option<Instant>,
    told: u32,
    left_out: u64,
}

impl Telling {
    /// Whether a line at this time is written, and how many were left out before it. They are counted until a line is written.
    pub(super) fn tells(&mut self, now: Instant) -> Option<u64> {
        let over = |begun| now.saturating_duration_since(begun) >= STRETCH;
        if self.begun.is_none_or(over) {
            (self.begun, self.told) = (Some(now), 0);
        }
        if self.told == LINES_MAX {
            self.left_out += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_a_few_are_told_and_the_others_counted() {
        let mut telling = Telling::default();
        let now = Instant::now();
        let told = (0..1000).filter(|_| telling.tells(now).is_some()).count();
        assert_eq!(told, 20);
        assert_eq!(telling.tells(now + STRETCH), Some(980));
        assert_eq!(telling.tells(now + STRETCH), Some(0));
    }
}
