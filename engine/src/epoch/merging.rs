//! Which chain of state objects is merged next, and what has been merged but is in no checkpoint yet. Pure.
//!
//! Only objects that the newest checkpoint names are merged, one chain at a time, aside from everything else. The merged
//! object takes their place in the next checkpoint; until then it is in none, and a crash only leaves it behind.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use crate::epoch::checkpoint::{Checkpoint, Merged};
use crate::epoch::state_store::merge_from;

/// Objects to be merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The lane.
    pub lane: SmolStr,
    /// The step.
    pub step: SmolStr,
    /// Their names, oldest first.
    pub names: Vec<String>,
    /// Whether the oldest is the beginning of its chain.
    pub first: bool,
}

/// What is being merged, and what was.
#[derive(Debug, Default)]
pub struct Merging {
    running: bool,
    done: Vec<Merged>,
    /// First objects of stretches that cannot be merged, because their layouts differ.
    apart: BTreeSet<String>,
    /// Objects that were not found.
    missed: Option<String>,
    /// Tries in succession that failed.
    failed: u32,
    /// Epochs that are still let pass before the next try.
    pause: u32,
}

/// Epochs let pass at most after a try that failed: a store that is full is not asked at each.
const PAUSE_MAX: u32 = 64;

impl Merging {
    /// Whether something is being merged.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// The next stretch to merge behind a committed epoch, if there is one and nothing is being merged: that of the longest
    /// chain of which nothing was merged since. After a try that failed twice as many epochs pass as before.
    pub fn next(&mut self, newest: &Checkpoint) -> Option<Stretch> {
        if self.running {
            return None;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        let mut longest: Option<(usize, Stretch)> = None;
        for lane in &newest.lanes {
            for (step, chain) in &lane.state {
                let done = |merged: &Merged| merged.lane == lane.lane && merged.step == *step;
                if self.done.iter().any(done) {
                    continue;
                }
                let sizes: Vec<u64> = chain.iter().map(|object| object.bytes).collect();
                let Some(from) = merge_from(&sizes) else {
                    continue;
                };
                let names: Vec<String> = chain[from..].iter().map(|o| o.name.clone()).collect();
                if names
                    .first()
                    .is_some_and(|first| self.apart.contains(first))
                {
                    continue;
                }
                if longest
                    .as_ref()
                    .is_none_or(|(length, _)| chain.len() > *length)
                {
                    let stretch = Stretch {
                        lane: lane.lane.clone(),
                        step: step.clone(),
                        first: from == 0,
                        names,
                    };
                    longest = Some((chain.len(), stretch));
                }
            }
        }
        let (_, stretch) = longest?;
        self.running = true;
        Some(stretch)
    }

    /// The stretch is merged into an object.
    pub fn finished(&mut self, merged: Merged) {
        self.running = false;
        self.failed = 0;
        self.done.push(merged);
    }

    /// The object could not be written: the chain stays as it is.
    pub fn failed(&mut self) {
        self.running = false;
        self.pause = 1_u32
            .checked_shl(self.failed)
            .unwrap_or(PAUSE_MAX)
            .min(PAUSE_MAX);
        self.failed = self.failed.saturating_add(1);
    }

    /// Objects of the stretch are not there. Where another process has these checkpoints by now, it has removed them, and
    /// nothing is wrong with that; so it is kept until it is known who has them.
    pub fn misses(&mut self, why: String) {
        self.running = false;
        self.missed = Some(why);
    }

    /// What was missed although this process has the checkpoints still: another epoch of it is committed.
    pub fn missed(&mut self) -> Option<String> {
        self.missed.take()
    }

    /// The objects of the stretch are of different layouts.
    pub fn apart(&mut self, stretch: &Stretch) {
        self.running = false;
        self.apart.extend(stretch.names.first().cloned());
    }

    /// Puts what was merged into the checkpoint that is about to be committed. Gives the objects that are of no use.
    pub fn apply(&mut self, checkpoint: &mut Checkpoint) -> Vec<String> {
        let done = std::mem::take(&mut self.done);
        done.into_iter()
            .filter(|merged| !checkpoint.replace(merged))
            .map(|merged| merged.object.name)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::epoch::checkpoint::{FORMAT, LaneCut, ObjectRef};

    fn checkpoint(sizes: &[u64]) -> Checkpoint {
        let chain = sizes.iter().enumerate().map(|(number, bytes)| ObjectRef {
            name: format!("o{number}"),
            bytes: *bytes,
        });
        Checkpoint {
            format: FORMAT,
            job: "j".into(),
            query: "q".into(),
            checkpoint: "c".into(),
            run: "r".into(),
            epoch: 9,
            committed_at: 0,
            interval: None,
            rewound: false,
            plan: serde_json::Value::Null,
            sources: BTreeMap::new(),
            beside: BTreeMap::new(),
            lanes: vec![LaneCut {
                lane: "gather".into(),
                partitions: Vec::new(),
                writer: None,
                kept: Vec::new(),
                state: [("count".into(), chain.collect())].into(),
            }],
        }
    }

    fn names(checkpoint: &Checkpoint) -> Vec<&str> {
        checkpoint.objects().map(String::as_str).collect()
    }

    #[test]
    fn a_merged_stretch_takes_its_place_while_the_chain_grows() {
        let mut merging = Merging::default();
        let stretch = merging
            .next(&checkpoint(&[9000, 1, 1, 1, 1, 1, 1, 1]))
            .unwrap();
        assert_eq!((stretch.names.len(), stretch.first), (7, false));
        assert_eq!(merging.next(&checkpoint(&[1; 20])), None, "one at a time");
        let object = ObjectRef {
            name: "m".into(),
            bytes: 5,
        };
        merging.finished(Merged {
            lane: "gather".into(),
            step: "count".into(),
            covers: stretch.names,
            object,
        });
        let mut next = checkpoint(&[9000, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert!(merging.apply(&mut next).is_empty());
        assert_eq!(names(&next), ["o0", "m", "o8"]);
    }

    #[test]
    fn a_chain_is_merged_once_for_a_checkpoint_and_then_another() {
        let mut merging = Merging::default();
        let mut newest = checkpoint(&[1; 9]);
        let other = newest.lanes[0].state["count"][1..].to_vec();
        newest.lanes[0].state.insert("sum".into(), other);
        let merged = |stretch: Stretch| Merged {
            lane: stretch.lane,
            step: stretch.step,
            covers: stretch.names,
            object: ObjectRef {
                name: "m".into(),
                bytes: 5,
            },
        };
        for step in ["count", "sum"] {
            let stretch = merging.next(&newest).unwrap();
            assert_eq!(stretch.step, step);
            assert!(merging.is_running());
            merging.finished(merged(stretch));
        }
        assert_eq!(merging.next(&newest), None);
    }

    #[test]
    fn what_was_merged_of_a_chain_that_began_anew_is_thrown_away() {
        let mut merging = Merging::default();
        let stretch = merging.next(&checkpoint(&[1; 8])).unwrap();
        merging.finished(Merged {
            lane: "gather".into(),
            step: "count".into(),
            covers: stretch.names,
            object: ObjectRef {
                name: "m".into(),
                bytes: 5,
            },
        });
        let mut next = checkpoint(&[]);
        assert_eq!(merging.apply(&mut next), ["m"]);
    }

    #[test]
    fn objects_that_are_not_there_are_told_once_and_tried_again() {
        let mut merging = Merging::default();
        assert!(merging.next(&checkpoint(&[1; 8])).is_some());
        merging.misses("o1: gone".to_owned());
        assert_eq!(merging.missed().as_deref(), Some("o1: gone"));
        assert_eq!(merging.missed(), None);
        assert!(merging.next(&checkpoint(&[1; 9])).is_some());
    }

    #[test]
    fn a_store_that_is_full_is_asked_at_longer_and_longer_distances() {
        let mut merging = Merging::default();
        let chain = checkpoint(&[1; 8]);
        let tried: Vec<u32> = (0..300)
            .filter(|_| merging.next(&chain).map(|_| merging.failed()).is_some())
            .collect();
        assert_eq!(tried, [0, 2, 5, 10, 19, 36, 69, 134, 199, 264]);
    }
}
