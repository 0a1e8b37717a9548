//! The account of a crash test: every key is accounted for by itself, never by counting records.

use serde::Serialize;

/// What happened between one kill (or the start) and the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Life {
    /// Records seen for the first time.
    pub(crate) first_seen: u64,
    /// Records seen again.
    pub(crate) duplicates: u64,
    /// The longest time from the scheduled send to the first sight of a record, in milliseconds.
    pub(crate) longest_wait_ms: f64,
}

/// Notes arrivals while they come. Memory: one byte per record.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// How often each sequence number was seen, at most 255.
    seen: Vec<u8>,
    lives: Vec<Life>,
    distinct: u64,
}

/// The account at the end.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Account {
    /// Records that were sent and acknowledged.
    pub(crate) sent: u64,
    /// Records that never came out.
    pub(crate) missing: u64,
    /// The first missing stretches, as first and last sequence number.
    pub(crate) missing_ranges: Vec<(u64, u64)>,
    /// Records beyond the first of their key, all kills together.
    pub(crate) duplicates: u64,
    /// The most duplicates after one kill.
    pub(crate) duplicates_max_per_kill: u64,
    /// Keys that came out although they were never sent.
    pub(crate) unknown: u64,
    /// The longest wait of any record, in milliseconds.
    pub(crate) longest_wait_ms: f64,
    /// One entry for the start and one for each kill.
    pub(crate) lives: Vec<Life>,
}

/// How many missing stretches are listed.
const RANGES_MAX: usize = 10;

impl Audit {
    /// Record `sequence` was read `wait_ns` after its scheduled send, after `kills` kills.
    pub(crate) fn arrived(&mut self, sequence: u64, wait_ns: u64, kills: usize) {
        let place = sequence as usize;
        if place >= self.seen.len() {
            self.seen.resize(place + 1, 0);
        }
        if kills >= self.lives.len() {
            self.lives.resize(kills + 1, Life::default());
        }
        let life = &mut self.lives[kills];
        if self.seen[place] == 0 {
            self.distinct += 1;
            life.first_seen += 1;
            life.longest_wait_ms = life.longest_wait_ms.max(wait_ns as f64 / 1e6);
        } else {
            life.duplicates += 1;
        }
        self.seen[place] = self.seen[place].saturating_add(1);
    }

    /// How many different records were seen.
    pub(crate) fn distinct(&self) -> u64 {
        self.distinct
    }

    /// The account, `sent` records having been sent (numbers 0 to `sent` - 1) and `kills` kills done.
    pub(crate) fn account(mut self, sent: u64, kills: usize) -> Account {
        self.lives
            .resize(self.lives.len().max(kills + 1), Life::default());
        let (mut missing, mut missing_ranges) = (0, Vec::<(u64, u64)>::new());
        for sequence in
            (0..sent).filter(|n| self.seen.get(*n as usize).is_none_or(|count| *count == 0))
        {
            missing += 1;
            let listed = missing_ranges.len();
            match missing_ranges.last_mut() {
                Some((_, last)) if *last + 1 == sequence => *last = sequence,
                _ if listed < RANGES_MAX => missing_ranges.push((sequence, sequence)),
                _ => {}
            }
        }
        Account {
            sent,
            missing,
            missing_ranges,
            duplicates: self.lives.iter().map(|life| life.duplicates).sum(),
            duplicates_max_per_kill: self
                .lives
                .iter()
                .skip(1)
                .map(|life| life.duplicates)
                .max()
                .unwrap_or(0),
            unknown: self
                .seen
                .iter()
                .skip(sent as usize)
                .filter(|count| **count > 0)
                .count() as u64,
            longest_wait_ms: self
                .lives
                .iter()
                .map(|life| life.longest_wait_ms)
                .fold(0.0, f64::max),
            lives: self.lives,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_record_is_named_even_when_a_repeated_one_makes_the_count_right() {
        let mut audit = Audit::default();
        for sequence in [0, 1, 1, 3] {
            audit.arrived(sequence, 0, 0);
        }
        let account = audit.account(4, 0);
        assert_eq!((account.missing, account.duplicates), (1, 1));
        assert_eq!(account.missing_ranges, [(2, 2)]);
    }

    #[test]
    fn repeated_records_and_waits_belong_to_the_kill_before_them() {
        let mut audit = Audit::default();
        audit.arrived(0, 1_000_000, 0);
        audit.arrived(1, 2_000_000, 0);
        audit.arrived(1, 9_000_000_000, 1);
        audit.arrived(2, 400_000_000, 1);
        audit.arrived(2, 0, 2);
        audit.arrived(1, 0, 2);
        audit.arrived(3, 3_000_000, 2);
        let account = audit.account(4, 3);
        assert_eq!(
            account
                .lives
                .iter()
                .map(|life| life.duplicates)
                .collect::<Vec<_>>(),
            [0, 1, 2, 0]
        );
        assert_eq!(account.duplicates_max_per_kill, 2);
        assert_eq!(
            account.longest_wait_ms, 400.0,
            "a repeated record has no wait"
        );
        assert_eq!(account.missing, 0);
    }

    #[test]
    fn missing_records_are_given_as_stretches_and_the_list_is_limited() {
        let mut audit = Audit::default();
        (0..100)
            .filter(|n| n % 4 == 0)
            .for_each(|n| audit.arrived(n, 0, 0));
        let account = audit.account(110, 0);
        assert_eq!(account.missing, 85);
        assert_eq!(account.missing_ranges.len(), RANGES_MAX);
        assert_eq!(account.missing_ranges[0], (1, 3));
    }

    #[test]
    fn a_record_never_sent_is_unknown() {
        let mut audit = Audit::default();
        audit.arrived(5, 0, 0);
        let account = audit.account(5, 0);
        assert_eq!((account.unknown, account.missing), (1, 5));
    }
}
