//! The ledger of open epochs: which lanes still owe a report, and which epoch may be committed next.
//!
//! Pure: no clock, no I/O. The members of an epoch are fixed when it begins. Reports come in any order; epochs leave in
//! the order of their numbers only. A limited number is open.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The number of a lane within one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub u32);

/// The number of an epoch. Epoch 0 holds the resolved start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

struct Open<R> {
    epoch: Epoch,
    begun: u64,
    owing: BTreeSet<LaneId>,
    reports: BTreeMap<LaneId, R>,
}

/// An epoch whose reports are complete.
#[derive(Debug, PartialEq, Eq)]
pub struct Complete<R> {
    /// Its number.
    pub epoch: Epoch,
    /// When it began, as it was given.
    pub begun: u64,
    /// One report for each of its members.
    pub reports: BTreeMap<LaneId, R>,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It counts.
    Taken,
    /// The epoch is not open, the lane is not its member, or it has reported already: nothing changed.
    Unexpected,
}

/// Open epochs, oldest first.
pub struct Ledger<R> {
    next: Epoch,
    open: VecDeque<Open<R>>,
    open_max: usize,
}

impl<R> Ledger<R> {
    /// A ledger whose first epoch will be the one after `newest`.
    pub fn new(newest: Epoch, open_max: usize) -> Self {
        Self {
            next: Epoch(newest.0 + 1),
            open: VecDeque::new(),
            open_max: open_max.max(1),
        }
    }

    /// The epoch that will begin next.
    pub fn next(&self) -> Epoch {
        self.next
    }

    /// Begins an epoch with these members at the time `now` (any unit; kept and given back). None when the limit of open
    /// epochs is reached.
    pub fn begin(&mut self, members: impl IntoIterator<Item = LaneId>, now: u64) -> Option<Epoch> {
        (self.open.len() < self.open_max).then(|| self.begin_last(members, now))
    }

    /// Begins the last epoch of a run, whatever the limit says.
    pub fn begin_last(&mut self, members: impl IntoIterator<Item = LaneId>, now: u64) -> Epoch {
        let epoch = self.next;
        self.next = Epoch(epoch.0 + 1);
        self.open.push_back(Open {
            epoch,
            begun: now,
            owing: members.into_iter().collect(),
            reports: BTreeMap::new(),
        });
        epoch
    }

    /// Notes a report.
    pub fn report(&mut self, epoch: Epoch, lane: LaneId, report: R) -> Noted {
        let Some(open) = self.open.iter_mut().find(|open| open.epoch == epoch) else {
            return Noted::Unexpected;
        };
        if !open.owing.remove(&lane) {
            return Noted::Unexpected;
        }
        open.reports.insert(lane, report);
        Noted::Taken
    }

    /// Takes the oldest open epoch if all its members have reported.
    pub fn complete(&mut self) -> Option<Complete<R>> {
        if !self.open.front()?.owing.is_empty() {
            return None;
        }
        self.open.pop_front().map(|open| Complete {
            epoch: open.epoch,
            begun: open.begun,
            reports: open.reports,
        })
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The oldest open epoch, when it began, and who still owes a report.
    pub fn oldest(&self) -> Option<(Epoch, u64, &BTreeSet<LaneId>)> {
        self.open
            .front()
            .map(|open| (open.epoch, open.begun, &open.owing))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: LaneId = LaneId(0);
    const B: LaneId = LaneId(1);

    #[test]
    fn epochs_commit_in_order_when_reports_arrive_1_3_2() {
        let mut ledger = Ledger::new(Epoch(0), 4);
        for now in 1..=3 {
            ledger.begin([A], now);
        }
        let done = |ledger: &mut Ledger<()>| {
            std::iter::from_fn(|| ledger.complete().map(|complete| complete.epoch.0))
                .collect::<Vec<_>>()
        };
        ledger.report(Epoch(1), A, ());
        assert_eq!(done(&mut ledger), [1]);
        ledger.report(Epoch(3), A, ());
        assert_eq!(done(&mut ledger), [0_u64; 0]);
        ledger.report(Epoch(2), A, ());
        assert_eq!(done(&mut ledger), [2, 3]);
    }

    #[test]
    fn no_epoch_begins_beyond_the_limit() {
        let mut ledger = Ledger::<()>::new(Epoch(7), 2);
        assert_eq!(ledger.begin([A], 0), Some(Epoch(8)));
        assert_eq!(ledger.begin([A], 0), Some(Epoch(9)));
        assert_eq!(ledger.begin([A], 0), None);
        assert_eq!(ledger.begin_last([A], 0), Epoch(10));
    }

    #[test]
    fn a_lane_that_joined_later_or_reported_already_is_unexpected() {
        let mut ledger = Ledger::new(Epoch(0), 4);
        let epoch = ledger.begin([A], 0).unwrap();
        assert_eq!(ledger.report(epoch, B, 1), Noted::Unexpected);
        assert_eq!(ledger.report(epoch, A, 2), Noted::Taken);
        assert_eq!(ledger.report(epoch, A, 3), Noted::Unexpected);
        assert_eq!(ledger.complete().unwrap().reports[&A], 2);
        assert_eq!(ledger.report(epoch, A, 4), Noted::Unexpected);
    }

    proptest! {
        /// Whatever the order of reports (repeated and foreign ones among them): every epoch leaves once, in order,
        /// exactly when all of its members and all earlier epochs have reported.
        #[test]
        fn any_order_of_reports_commits_in_order(
            members in prop::collection::vec(1_u32..5, 1..8),
            order in prop::collection::vec((1_u64..9, 0_u32..6), 0..200),
        ) {
            let mut ledger = Ledger::new(Epoch(0), members.len());
            let mut owing: Vec<BTreeSet<u32>> = Vec::new();
            for &count in &members {
                ledger.begin((0..count).map(LaneId), 0);
                owing.push((0..count).collect());
            }
            let mut left = 0;
            for (epoch, lane) in order {
                let expected = usize::try_from(epoch).ok()
                    .and_then(|epoch| owing.get_mut(epoch - 1))
                    .is_some_and(|owing| owing.remove(&lane));
                let noted = ledger.report(Epoch(epoch), LaneId(lane), ());
                prop_assert_eq!(noted == Noted::Taken, expected);
                while let Some(complete) = ledger.complete() {
                    left += 1;
                    prop_assert_eq!(complete.epoch.0, left);
                }
                let whole = owing.iter().take_while(|owing| owing.is_empty()).count() as u64;
                prop_assert_eq!(left, whole);
            }
        }
    }
}
