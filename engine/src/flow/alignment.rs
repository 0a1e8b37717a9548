//! Which partitions are too far ahead of another input in event time, and wait until it has caught up. Pure.
//!
//! State that one input fills and another empties (a join) grows with the distance between them. So a partition is paused
//! while its event time is more than a limit ahead of the slowest partition of another input. The slowest of all is never
//! paused, so somebody always goes on.
//!
//! | a partition | holds others back |
//! | --- | --- |
//! | that has shown an event time | yes, from that time |
//! | of which nothing is known yet | yes, from the beginning of time |
//! | that has shown none and is read to its end | no |
//! | that is idle, or has ended | no, until it shows an event time again |
//! | of an input without event times | no, and is never paused |

use smol_str::SmolStr;

use crate::record::Micros;

/// The event times of the partitions that one lane reads, by input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alignment {
    /// How far ahead a partition may be.
    max: Micros,
    inputs: Vec<Input>,
    tracks: Vec<Track>,
    /// How many partitions are paused.
    paused: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Input {
    name: SmolStr,
    /// The event time of its slowest partition that holds others back, None in it for the beginning of time; None when
    /// no partition does.
    slowest: Option<Option<Micros>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Track {
    /// The place of its input; None where that has no event times.
    input: Option<usize>,
    own: Option<Micros>,
    holds: bool,
    /// Whether it has shown an event time since it was opened.
    shown: bool,
    paused: bool,
}

impl Alignment {
    /// Lets no partition be more than `max` ahead.
    pub(crate) fn new(max: Micros) -> Self {
        Self {
            max,
            inputs: Vec::new(),
            tracks: Vec::new(),
            paused: 0,
        }
    }

    /// How far ahead a partition may be.
    pub(crate) fn max(&self) -> Micros {
        self.max
    }

    /// Adds a partition of an input, with the event time that its checkpoint holds. Gives whether to look who is paused.
    pub(crate) fn add(&mut self, input: &SmolStr, restored: Option<Micros>, timed: bool) -> bool {
        let place = timed.then(|| {
            let known = self.inputs.iter().position(|known| known.name == *input);
            known.unwrap_or_else(|| {
                self.inputs.push(Input {
                    name: input.clone(),
                    slowest: None,
                });
                self.inputs.len() - 1
            })
        });
        self.tracks.push(Track {
            input: place,
            own: restored,
            holds: timed,
            shown: false,
            paused: false,
        });
        self.weigh(place);
        self.concerns()
    }

    /// A partition has shown this event time. Gives whether to look who is paused.
    #[inline]
    pub(crate) fn observe(&mut self, partition: usize, time: Micros) -> bool {
        if !self.concerns() {
            return false;
        }
        let Some(track) = self.tracks.get_mut(partition) else {
            return false;
        };
        let (before, held) = (track.own, track.holds);
        track.own = before.max(Some(time));
        track.holds = true;
        track.shown = true;
        let Some(place) = track.input else {
            return false;
        };
        if held && track.own == before {
            return false;
        }
        let was = self.inputs[place].slowest;
        // Only the slowest one's steps move its input, and one that comes back.
        if !held || was == Some(before) {
            self.weigh(Some(place));
        }
        let back = !held;
        let up = self.paused > 0 && self.inputs[place].slowest != was;
        back || up || self.ahead(partition)
    }

    /// Everything in the partition is read. Gives whether to look who is paused.
    pub(crate) fn at_end(&mut self, partition: usize) -> bool {
        match self.tracks.get(partition) {
            Some(track) if !track.shown => self.release(partition),
            _ => false,
        }
    }

    /// Nothing comes from the partition for long, or ever again. Gives whether to look who is paused.
    pub(crate) fn release(&mut self, partition: usize) -> bool {
        let Some(track) = self.tracks.get_mut(partition) else {
            return false;
        };
        if !std::mem::replace(&mut track.holds, false) {
            return false;
        }
        let place = track.input;
        self.weigh(place);
        self.paused > 0
    }

    /// Whether this partition waits.
    pub(crate) fn is_paused(&self, partition: usize) -> bool {
        self.tracks.get(partition).is_some_and(|track| track.paused)
    }

    /// Decides anew who waits. Gives whether somebody may go on that could not.
    pub(crate) fn look(&mut self) -> bool {
        let mut freed = false;
        let mut paused = 0;
        for partition in 0..self.tracks.len() {
            let ahead = self.ahead(partition);
            paused += i64::from(ahead);
            freed |= std::mem::replace(&mut self.tracks[partition].paused, ahead) && !ahead;
        }
        self.paused = paused;
        freed
    }

    /// How many partitions wait.
    pub(crate) fn paused(&self) -> i64 {
        self.paused
    }

    /// Whether there are inputs to compare.
    fn concerns(&self) -> bool {
        self.inputs.len() > 1
    }

    /// Finds the slowest partition of an input.
    fn weigh(&mut self, place: Option<usize>) {
        if let Some(input) = place.and_then(|place| self.inputs.get_mut(place)) {
            let holding = self
                .tracks
                .iter()
                .filter(|track| track.input == place && track.holds);
            input.slowest = holding.map(|track| track.own).min();
        }
    }

    fn ahead(&self, partition: usize) -> bool {
        let Some(Track {
            input: Some(own_input),
            own: Some(own),
            ..
        }) = self.tracks.get(partition)
        else {
            return false;
        };
        self.inputs
            .iter()
            .enumerate()
            .filter(|(place, _)| place != own_input)
            .filter_map(|(_, other)| other.slowest)
            .any(|slowest| slowest.is_none_or(|slowest| *own > slowest.saturating_add(self.max)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alignment(max: Micros, inputs: &[&str]) -> Alignment {
        let mut alignment = Alignment::new(max);
        for input in inputs {
            alignment.add(&SmolStr::new(input), None, true);
        }
        alignment.look();
        alignment
    }

    fn observe(alignment: &mut Alignment, partition: usize, time: Micros) {
        if alignment.observe(partition, time) {
            alignment.look();
        }
    }

    fn waiting(alignment: &Alignment) -> Vec<usize> {
        let all = 0..alignment.tracks.len();
        all.filter(|partition| alignment.is_paused(*partition))
            .collect()
    }

    #[test]
    fn an_input_that_is_too_far_ahead_waits_until_the_other_has_caught_up() {
        let mut two = alignment(60, &["a", "b"]);
        observe(&mut two, 1, 100);
        observe(&mut two, 0, 160);
        assert_eq!(waiting(&two), [0; 0]);
        observe(&mut two, 0, 161);
        assert_eq!(waiting(&two), [0]);
        observe(&mut two, 1, 90);
        assert_eq!(waiting(&two), [0], "older rows do not move it");
        observe(&mut two, 1, 101);
        assert_eq!(waiting(&two), [0; 0]);
    }

    #[test]
    fn partitions_of_one_input_do_not_wait_for_each_other() {
        let mut three = alignment(60, &["a", "a", "b"]);
        observe(&mut three, 0, 1_000);
        observe(&mut three, 1, 0);
        observe(&mut three, 2, 980);
        assert_eq!(waiting(&three), [2], "it is ahead of the slower one of `a`");
    }

    #[test]
    fn an_input_that_is_empty_or_idle_or_over_holds_nobody_back() {
        let mut two = alignment(60, &["a", "b"]);
        observe(&mut two, 0, 1_000);
        assert_eq!(waiting(&two), [0], "nothing is known of the other one");
        assert!(two.at_end(1) && two.look());
        assert_eq!(waiting(&two), [0; 0]);
        observe(&mut two, 1, 10);
        assert_eq!(waiting(&two), [0]);
        assert!(!two.at_end(1), "its next rows may be as old");
        assert!(two.release(1) && two.look());
        observe(&mut two, 0, 2_000);
        assert_eq!(waiting(&two), [0; 0]);
        observe(&mut two, 1, 20);
        assert_eq!(waiting(&two), [0], "it is back");
    }

    #[test]
    fn inputs_without_event_times_take_no_part() {
        let mut alignment = Alignment::new(60);
        alignment.add(&"a".into(), None, true);
        alignment.add(&"table".into(), None, false);
        assert!(!alignment.observe(0, 1_000));
        assert_eq!(waiting(&alignment), [0; 0]);
    }

    #[test]
    fn a_restart_goes_on_with_who_waited() {
        let mut again = Alignment::new(60);
        again.add(&"a".into(), Some(1_000), true);
        if again.add(&"b".into(), Some(100), true) {
            again.look();
        }
        assert_eq!(waiting(&again), [0]);
    }

    /// What a partition holds: rows with an event time, and rows without one.
    fn partitions() -> impl Strategy<Value = Vec<(usize, Vec<Option<Micros>>)>> {
        let row = prop_oneof![4 => (-500_i64..500).prop_map(Some), 1 => Just(None)];
        prop::collection::vec((0_usize..3, prop::collection::vec(row, 0..30)), 1..6)
    }

    proptest! {
        /// Partitions are polled in any order; one at its end is idle some time after, or when nothing else happens.
        #[test]
        fn everything_is_read_and_nothing_is_read_that_is_too_far_ahead(
            partitions in partitions(),
            order in prop::collection::vec(0_usize..60, 0..400),
            max in 0_i64..200,
        ) {
            let mut alignment = Alignment::new(max);
            for (input, _) in &partitions {
                alignment.add(&SmolStr::new(format!("in{input}")), None, true);
            }
            alignment.look();
            let count = partitions.len();
            let mut next = vec![0; count];
            let mut newest: Vec<Option<Micros>> = vec![None; count];
            let mut idle = vec![false; count];
            let mut polls = order.into_iter();
            // Polls in turn without any change, once the drawn ones are over.
            let mut still = 0;
            while next.iter().zip(&partitions).any(|(next, (_, rows))| *next < rows.len()) {
                let polled = polls.next();
                let drawn = polled.unwrap_or(still);
                let partition = drawn % count;
                let (_, rows) = &partitions[partition];
                let before = (next.clone(), alignment.clone());
                let changed = if let Some(row) = rows.get(next[partition]) {
                    if alignment.is_paused(partition) {
                        false
                    } else {
                        // Not too far ahead of any that may still bring older rows.
                        for other in 0..count {
                            let apart = partitions[other].0 != partitions[partition].0;
                            let known = next[other] > 0 && newest[other].is_some() && !idle[other];
                            if apart && known && let Some(own) = newest[partition] {
                                prop_assert!(Some(own) <= newest[other].map(|other| other + max));
                            }
                        }
                        next[partition] += 1;
                        match row {
                            Some(time) => {
                                newest[partition] = newest[partition].max(Some(*time));
                                idle[partition] = false;
                                alignment.observe(partition, *time)
                            }
                            None => false,
                        }
                    }
                } else if drawn < count * 2 {
                    alignment.at_end(partition)
                } else {
                    idle[partition] = true;
                    alignment.release(partition)
                };
                if changed {
                    alignment.look();
                }
                let mut fresh = alignment.clone();
                fresh.look();
                prop_assert_eq!(&fresh, &alignment, "a change was missed");
                let nothing = polled.is_none() && before == (next.clone(), alignment.clone());
                still = if nothing { still + 1 } else { 0 };
                prop_assert!(still < count * 4, "nobody goes on: {:?}", alignment);
            }
        }
    }
}
