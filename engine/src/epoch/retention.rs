//! Which checkpoints are kept: the newest ones, one per minute for an hour and one per hour for a day.

use std::collections::BTreeSet;

use crate::record::Micros;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The epochs to remove, given all that are there with the time of their commit in ascending order of epochs. The newest
/// is never removed.
pub fn superfluous(epochs: &[(u64, Micros)], now: Micros, kept: usize, history: bool) -> Vec<u64> {
    let newest = epochs.len().saturating_sub(kept.max(1));
    let mut slots = BTreeSet::new();
    let mut remove = Vec::new();
    for (index, &(epoch, at)) in epochs.iter().enumerate() {
        let age = now.saturating_sub(at);
        // The first epoch of each minute and hour stands for it, so that a kept one stays the one.
        let minute = age < HOUR && slots.insert((MINUTE, at.div_euclid(MINUTE)));
        let hour = age < DAY && slots.insert((HOUR, at.div_euclid(HOUR)));
        if index < newest && !(history && (minute || hour)) {
            remove.push(epoch);
        }
    }
    remove
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One epoch a second, cleaned after each commit as the log does it.
    fn after(seconds: u64, history: bool) -> Vec<(u64, Micros)> {
        let mut epochs = Vec::new();
        for epoch in 0..seconds {
            let now = i64::try_from(epoch).unwrap() * 1_000_000;
            epochs.push((epoch, now));
            let remove = superfluous(&epochs, now, 10, history);
            epochs.retain(|(epoch, _)| !remove.contains(epoch));
        }
        epochs
    }

    #[test]
    fn without_history_the_newest_ten_stay() {
        let epochs: Vec<u64> = after(500, false).iter().map(|(epoch, _)| *epoch).collect();
        assert_eq!(epochs, (490..500).collect::<Vec<_>>());
    }

    #[test]
    fn with_history_a_minute_and_an_hour_each_have_one() {
        let epochs = after(3 * 3600, true);
        let newest = 3 * 3600 - 1;
        let minutes = epochs
            .iter()
            .filter(|(epoch, _)| newest - epoch < 3600)
            .count();
        assert!((60 + 9..=60 + 12).contains(&minutes), "{minutes}");
        let hours: Vec<u64> = epochs
            .iter()
            .map(|(epoch, _)| *epoch)
            .filter(|epoch| newest - epoch >= 3600)
            .collect();
        assert_eq!(hours, [0, 3600]);
    }

    #[test]
    fn the_newest_is_kept_even_if_none_is_wanted() {
        assert_eq!(superfluous(&[(1, 0), (2, 1)], 10 * DAY, 0, true), [1]);
    }
}
