//! Batching by itself: what may be handed to the client now, and what waits for an acknowledgement.
//!
//! One [`Gate`] stands before each output partition. While nothing of the partition is on its way a row goes at once, so
//! an idle output adds no delay. While something is, rows are held and go together when it has landed, as many as one
//! request takes: the slower the broker, the larger the batch. None goes before: the client sends nothing more of a
//! partition with five records on their way, and looks for the time to send without a pause while it has any.
//!
//! A connection carries few requests at a time, and a request carries one partition. How many pays depends on the way to
//! the broker: while a far one answers others can be under way, a near one is only kept busy by them. So each partition with something on
//! its way holds one of a broker's [`Slots`], and a partition that finds none stands in line. What stands in line grows
//! here, where later rows can still join it, and not in the client's queue, where they could not.
//!
//! The first row of a partition goes alone. A broker that knows nothing yet of a producer takes whatever sequence number
//! comes first, so were the first request turned away (it does not lead the partition yet) and one behind it taken, the
//! client would hold the first for acknowledged as well, and it would be lost. From the first acknowledgement on the broker
//! refuses what comes out of order.

use std::collections::VecDeque;

/// Requests that an idempotent producer may have on its way to one broker.
pub(crate) const SLOTS: usize = 5;

/// As many to a broker whose answers take hardly longer than its work: more would not come back earlier, but smaller
/// requests cost it, and this process, more.
pub(crate) const SLOTS_NEAR: usize = 2;

/// What to do with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Hand it over at once.
    Send,
    /// Keep it.
    Hold,
    /// Keep it: there was no slot, the partition stands in line.
    Queue,
}

/// What to do when all that was on its way has landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Nothing is held: the slot is free.
    Free,
    /// Something is held: it goes with the same slot, or stands in line when others do.
    Held,
}

/// The gate of one output partition. Counts rows; knows neither clock nor client.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    flying_rows: usize,
    held_rows: usize,
    in_line: bool,
    /// Whether the broker has acknowledged anything of this producer.
    known: bool,
}

impl Gate {
    /// A row wants to go; `slot` takes one or stands in line.
    pub(crate) fn offer(&mut self, slot: impl FnOnce() -> bool) -> Step {
        if self.flying_rows == 0 && !self.in_line && slot() {
            self.flying_rows = 1;
            return Step::Send;
        }
        self.held_rows += 1;
        if self.flying_rows == 0 && !self.in_line {
            self.in_line = true;
            return Step::Queue;
        }
        Step::Hold
    }

    /// All that was on its way was acknowledged.
    pub(crate) fn landed(&mut self) -> After {
        self.known = true;
        self.flying_rows = 0;
        if self.held_rows == 0 {
            After::Free
        } else {
            After::Held
        }
    }

    /// It stands in line again, after [`After::Held`].
    pub(crate) fn queue(&mut self) {
        self.in_line = true;
    }

    /// What is held goes, as many rows as fit in a request or the first one alone: the slot was kept, or its turn in the
    /// line has come. Says how many rows.
    pub(crate) fn release(&mut self, fit: usize) -> usize {
        let most = if self.known { fit.max(1) } else { 1 };
        let rows = self.held_rows.min(most);
        self.flying_rows += rows;
        self.held_rows -= rows;
        self.in_line = false;
        rows
    }

    /// How many rows went together and have not landed.
    pub(crate) fn flying(&self) -> usize {
        self.flying_rows
    }

    /// Whether anything is on its way.
    pub(crate) fn busy(&self) -> bool {
        self.flying_rows > 0
    }
}

/// The slots of one broker, and who stands in line for them. While there is a line no newcomer finds a slot. How many
/// there are may change from call to call; somebody holds one as long as there is a line.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    taken: usize,
    line: VecDeque<T>,
}

/// What becomes of a slot whose partition has more to send.
#[derive(Debug)]
pub(crate) struct Passed<T> {
    /// Whose turn has come.
    pub(crate) next: Option<T>,
    /// Whether the partition keeps its slot; otherwise it stands behind the last.
    pub(crate) keeps: bool,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            taken: 0,
            line: VecDeque::new(),
        }
    }
}

impl<T> Slots<T> {
    /// Takes a slot or, when none is free, stands in line. One step, so that no slot that is given back is missed.
    pub(crate) fn take(&mut self, limit: usize, who: impl FnOnce() -> T) -> bool {
        if self.line.is_empty() && self.taken < limit {
            self.taken += 1;
            return true;
        }
        self.line.push_back(who());
        false
    }

    /// Gives a slot back: it goes to the first in line, who is returned, unless there are too many now.
    pub(crate) fn give_back(&mut self, limit: usize) -> Option<T> {
        if self.taken > limit {
            self.taken -= 1;
            return None;
        }
        let next = self.line.pop_front();
        self.taken -= usize::from(next.is_none());
        next
    }

    /// Passes a slot on to the first in line and stands behind the last. Kept where there is no line, or where there are
    /// more slots now than are taken.
    pub(crate) fn pass_on(&mut self, limit: usize, who: impl FnOnce() -> T) -> Passed<T> {
        if self.line.is_empty() {
            return Passed {
                next: None,
                keeps: true,
            };
        }
        if self.taken > limit {
            self.taken -= 1;
            self.line.push_back(who());
            return Passed {
                next: None,
                keeps: false,
            };
        }
        let next = self.line.pop_front();
        let keeps = self.taken < limit;
        if keeps {
            self.taken += 1;
        } else {
            self.line.push_back(who());
        }
        Passed { next, keeps }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_idle_partition_sends_at_once() {
        let mut gate = Gate::default();
        for _ in 0..3 {
            assert_eq!(gate.offer(|| true), Step::Send);
            assert_eq!(gate.landed(), After::Free);
        }
    }

    #[test]
    fn rows_wait_for_the_one_on_its_way_and_then_go_together() {
        let mut gate = Gate::default();
        assert_eq!(gate.offer(|| true), Step::Send);
        assert_eq!(gate.offer(|| true), Step::Hold);
        assert_eq!(gate.offer(|| true), Step::Hold);
        assert_eq!(gate.landed(), After::Held);
        assert_eq!(gate.release(usize::MAX), 2);
        assert_eq!(gate.offer(|| true), Step::Hold);
        assert_eq!(gate.flying(), 2);
        assert_eq!(gate.landed(), After::Held);
        assert_eq!(gate.release(usize::MAX), 1);
        assert_eq!(gate.landed(), After::Free);
        assert!(!gate.busy());
    }

    #[test]
    fn no_more_goes_than_one_request_takes() {
        let mut gate = Gate::default();
        assert_eq!(gate.offer(|| true), Step::Send);
        for _ in 0..5 {
            assert_eq!(gate.offer(|| true), Step::Hold);
        }
        assert_eq!(gate.landed(), After::Held);
        assert_eq!(gate.release(3), 3);
        assert_eq!(gate.landed(), After::Held);
        assert_eq!(gate.release(0), 1);
        assert_eq!(gate.landed(), After::Held);
        assert_eq!(gate.release(3), 1);
        assert_eq!(gate.landed(), After::Free);
    }

    #[test]
    fn nothing_follows_the_first_row_of_a_partition_until_it_has_landed() {
        let mut gate = Gate::default();
        assert_eq!(gate.offer(|| true), Step::Send);
        assert_eq!(gate.offer(|| true), Step::Hold);
        assert_eq!(gate.landed(), After::Held);
        assert_eq!(gate.release(usize::MAX), 1);
        let mut behind = Gate::default();
        assert_eq!(behind.offer(|| false), Step::Queue);
        assert_eq!(behind.offer(|| true), Step::Hold);
        assert_eq!(behind.release(usize::MAX), 1);
        assert_eq!(behind.offer(|| true), Step::Hold);
        assert_eq!(behind.landed(), After::Held);
        assert_eq!(behind.release(usize::MAX), 2);
    }

    #[test]
    fn without_a_slot_rows_gather_until_the_turn_comes() {
        let mut gate = Gate::default();
        assert_eq!(gate.offer(|| false), Step::Queue);
        assert_eq!(gate.offer(|| panic!("it stands in line")), Step::Hold);
        assert_eq!(gate.release(usize::MAX), 1);
        assert_eq!(gate.landed(), After::Held);
        assert_eq!(gate.release(usize::MAX), 1);
        assert_eq!(gate.landed(), After::Free);
    }

    /// Rows that fit in a request of the model.
    const FIT: usize = 3;

    /// An outlet in small: gates, slots, and what is on its way.
    struct Model {
        gates: Vec<Gate>,
        held: Vec<usize>,
        flying: Vec<usize>,
        known: Vec<bool>,
        slots: Slots<usize>,
        limit: usize,
    }

    impl Model {
        fn offer(&mut self, who: usize) {
            let (slots, limit) = (&mut self.slots, self.limit);
            match self.gates[who].offer(|| slots.take(limit, || who)) {
                Step::Send => {
                    assert_eq!(self.held[who], 0, "a row has overtaken another");
                    self.flying[who] += 1;
                }
                Step::Hold | Step::Queue => self.held[who] += 1,
            }
        }

        fn release(&mut self, who: usize) {
            let rows = self.gates[who].release(FIT);
            let most = if self.known[who] { FIT } else { 1 };
            assert_eq!(rows, self.held[who].min(most));
            self.flying[who] += rows;
            self.held[who] -= rows;
        }

        fn land(&mut self, who: usize) {
            self.flying[who] = 0;
            self.known[who] = true;
            match self.gates[who].landed() {
                After::Free => {
                    if let Some(next) = self.slots.give_back(self.limit) {
                        self.release(next);
                    }
                }
                After::Held => {
                    let passed = self.slots.pass_on(self.limit, || who);
                    if passed.keeps {
                        self.release(who);
                    } else {
                        self.gates[who].queue();
                    }
                    if let Some(next) = passed.next {
                        self.release(next);
                    }
                }
            }
        }
    }

    #[test]
    fn slots_become_more_and_fewer_as_something_lands() {
        let mut slots = Slots::default();
        assert!(slots.take(1, || 'a'));
        assert!(!slots.take(1, || 'b'));
        // There is a line, so a newcomer finds none of the new ones; the first that lands brings one more on its way.
        assert!(!slots.take(3, || 'c'));
        let passed = slots.pass_on(3, || 'a');
        assert!(passed.keeps && passed.next == Some('b'));
        let passed = slots.pass_on(1, || 'a');
        assert!(!passed.keeps && passed.next.is_none());
        assert_eq!(slots.give_back(1), Some('c'));
        assert_eq!(slots.give_back(1), Some('a'));
        assert_eq!(slots.give_back(1), None);
        assert_eq!(slots.taken, 0);
    }

    proptest! {
        /// Whatever comes and lands: no more partitions are on their way than there are slots, rows go in order, the first
        /// of a partition alone, and whatever is held has something to wait for.
        #[test]
        fn no_row_is_left_behind(
            events in prop::collection::vec((any::<bool>(), 0_usize..6, 1_usize..4), 1..400),
        ) {
            let mut model = Model {
                gates: (0..6).map(|_| Gate::default()).collect(),
                held: vec![0; 6],
                flying: vec![0; 6],
                known: vec![false; 6],
                slots: Slots::default(),
                limit: 1,
            };
            let mut slots = 1;
            for (offers, who, limit) in events {
                model.limit = limit;
                // Slots that are taken stay so until something lands.
                slots = slots.max(limit);
                if offers {
                    model.offer(who);
                } else if model.flying[who] > 0 {
                    model.land(who);
                }
                let busy = model.flying.iter().filter(|rows| **rows > 0).count();
                prop_assert!(busy <= slots);
                prop_assert_eq!(model.slots.taken, busy);
                for who in 0..6 {
                    prop_assert!(model.known[who] || model.flying[who] <= 1);
                    prop_assert_eq!(model.gates[who].flying(), model.flying[who]);
                    prop_assert!(model.held[who] == 0 || model.flying[who] > 0 || busy > 0);
                }
            }
            // When everything lands, everything that was held goes.
            while let Some(who) = model.flying.iter().position(|rows| *rows > 0) {
                model.land(who);
            }
            prop_assert_eq!(model.held.iter().sum::<usize>(), 0);
            prop_assert_eq!(model.slots.taken, 0);
        }
    }
}
