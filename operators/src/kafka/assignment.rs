//! Which partitions the client reads: turns wishes into calls that it can bear.
//!
//! The client aborts the process when a partition is taken away that it does not have, or twice in one call. So what it
//! has is known here, and neighbours are put into one call only where that cannot happen.

use std::collections::BTreeSet;

use super::starting::Place;

/// What readers and the watchdog wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Read from this offset on, whether it is being read already or not.
    Assign(Place, i64),
    /// Read no more.
    Unassign(Place),
}

/// A call of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Assign(Vec<(Place, i64)>),
    Unassign(Vec<Place>),
}

/// What the client has.
#[derive(Debug, Default)]
pub(crate) struct Assignment {
    assigned: BTreeSet<Place>,
}

impl Assignment {
    /// The calls that fulfil the wishes, in their order.
    pub(crate) fn calls(&mut self, wishes: Vec<Wish>) -> Vec<Call> {
        let mut calls = Vec::new();
        for wish in wishes {
            match wish {
                Wish::Assign(place, offset) => {
                    if !self.assigned.insert(place.clone()) {
                        unassign(&mut calls, place.clone());
                    }
                    if let Some(Call::Assign(places)) = calls.last_mut() {
                        places.push((place, offset));
                    } else {
                        calls.push(Call::Assign(vec![(place, offset)]));
                    }
                }
                Wish::Unassign(place) => {
                    if self.assigned.remove(&place) {
                        unassign(&mut calls, place);
                    }
                }
            }
        }
        calls
    }
}

fn unassign(calls: &mut Vec<Call>, place: Place) {
    if let Some(Call::Unassign(places)) = calls.last_mut() {
        places.push(place);
    } else {
        calls.push(Call::Unassign(vec![place]));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn place(partition: i32) -> Place {
        ("t".to_owned(), partition)
    }

    #[test]
    fn partitions_that_are_opened_together_are_one_call() {
        let mut assignment = Assignment::default();
        let calls = assignment.calls(vec![
            Wish::Assign(place(0), 5),
            Wish::Assign(place(1), 6),
            Wish::Unassign(place(2)),
        ]);
        assert_eq!(calls, [Call::Assign(vec![(place(0), 5), (place(1), 6)])]);
    }

    #[test]
    fn one_that_is_read_already_is_taken_away_first() {
        let mut assignment = Assignment::default();
        assignment.calls(vec![Wish::Assign(place(0), 5)]);
        assert_eq!(
            assignment.calls(vec![Wish::Assign(place(0), 9)]),
            [
                Call::Unassign(vec![place(0)]),
                Call::Assign(vec![(place(0), 9)])
            ]
        );
    }

    proptest! {
        /// Whatever is wished: the client never gets a partition twice, never loses one that it has not, and ends with
        /// what was wished last.
        #[test]
        fn the_client_can_bear_every_call(
            wishes in prop::collection::vec((any::<bool>(), 0..4_i32, 0..100_i64), 0..60),
            cut in 0_usize..60,
        ) {
            let mut wished = BTreeMap::new();
            let wishes: Vec<Wish> = wishes
                .into_iter()
                .map(|(assign, partition, offset)| {
                    if assign {
                        wished.insert(place(partition), offset);
                        Wish::Assign(place(partition), offset)
                    } else {
                        wished.remove(&place(partition));
                        Wish::Unassign(place(partition))
                    }
                })
                .collect();
            let mut assignment = Assignment::default();
            let cut = cut.min(wishes.len());
            let mut calls = assignment.calls(wishes[..cut].to_vec());
            calls.extend(assignment.calls(wishes[cut..].to_vec()));
            let mut client = BTreeMap::new();
            for call in calls {
                match call {
                    Call::Assign(places) => {
                        for (place, offset) in places {
                            prop_assert!(client.insert(place, offset).is_none());
                        }
                    }
                    Call::Unassign(places) => {
                        for place in places {
                            prop_assert!(client.remove(&place).is_some());
                        }
                    }
                }
            }
            prop_assert_eq!(client, wished);
        }
    }
}
