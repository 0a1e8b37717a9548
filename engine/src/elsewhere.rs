//! Partitions of a shared query that other processes read: who has each, and where it stands by its newest checkpoint.
//!
//! Nobody tells anybody. The source's system knows who has what, the checkpoints lie where all see them, and the ends are asked for in
//! one question. It is looked for while somebody asks and only then, aside, and never for more than a part of the time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use smol_str::SmolStr;

use crate::claim::Place;
use crate::epoch::checkpoint::{Checkpoint, PartitionCut};
use crate::flow::cut::folder_name;
use crate::lanes;
use crate::plan::{Input, Opened};
use crate::query::{Group, Query};
use crate::record::{Micros, Position};

/// What was found is kept for so long.
const FRESH: Duration = Duration::from_secs(4);
/// Of the time that passes looking takes at most one part in so many: many partitions in a slow store are looked for less often.
const PART: u32 = 20;
/// Somebody who has not asked for so long looks no more.
const ASKING: Duration = Duration::from_secs(8);

/// A partition that another process reads, or nobody does.
#[derive(Clone, Debug, PartialEq)]
pub struct Elsewhere {
    /// The input.
    pub input: SmolStr,
    /// Its name.
    pub partition: SmolStr,
    /// The name of the process that has it; None where nobody has it now.
    pub owner: Option<SmolStr>,
    /// Where its newest checkpoint stands; None before there is one.
    pub position: Option<Position>,
    /// Records behind the end, from there.
    pub lag: Option<i64>,
    /// Its watermark.
    pub watermark: Option<Micros>,
    /// Whether it has ended for good.
    pub ended: bool,
}

/// What was found last, and whether somebody asks.
#[derive(Default)]
pub(crate) struct Glance {
    asked: Mutex<Option<Instant>>,
    /// When it is looked for again.
    due: Mutex<Option<Instant>>,
    found: Mutex<Arc<[Elsewhere]>>,
}

impl Glance {
    /// What was found last; has it looked for from now on.
    pub(crate) fn ask(&self) -> Arc<[Elsewhere]> {
        *self.asked.lock() = Some(Instant::now());
        Arc::clone(&self.found.lock())
    }

    /// Whether it is to be looked for now.
    pub(crate) fn wanted(&self) -> bool {
        let asked = *self.asked.lock();
        let due = *self.due.lock();
        let now = Instant::now();
        asked.is_some_and(|at| now.duration_since(at) < ASKING) && due.is_none_or(|due| due <= now)
    }

    fn found(&self, found: Vec<Elsewhere>, took: Duration) {
        *self.found.lock() = found.into();
        *self.due.lock() = Some(Instant::now() + FRESH.max(took * PART));
    }
}

/// Looks for what others read. Blocks.
pub(crate) fn look(
    query: &Query,
    group: &Group,
    opened: &Opened,
    start: &Checkpoint,
    owned: &BTreeSet<Place>,
) {
    let began = Instant::now();
    let mut found = Vec::new();
    let owned = with_beside(start, owned);
    for input in opened.all_inputs() {
        of_input(input, query, group, start, &owned, &mut found);
    }
    follow_the_first(start, &mut found);
    query.status.glance().found(found, began.elapsed());
}

fn of_input(
    input: &Input,
    query: &Query,
    group: &Group,
    start: &Checkpoint,
    owned: &BTreeSet<Place>,
    found: &mut Vec<Elsewhere>,
) {
    let mut owners: BTreeMap<SmolStr, Option<SmolStr>> = BTreeMap::new();
    let begun = start.partitions().filter(|cut| cut.input == input.name);
    owners.extend(begun.map(|cut| (cut.partition.clone(), None)));
    // A system that does not answer is shown by the status of the query; what is known is shown all the same.
    let ends = input.source.ends().unwrap_or_default();
    owners.extend(ends.keys().map(|partition| (partition.clone(), None)));
    for (name, share) in input.source.sharers().unwrap_or_default().shares {
        owners.extend(share.into_iter().map(|of| (of, Some(name.clone()))));
    }
    for (partition, owner) in owners {
        let place = (input.name.clone(), partition.clone());
        if owned.contains(&place) {
            continue;
        }
        let cut = newest(query, group, &place).or_else(|| {
            let mut cuts = start.partitions();
            cuts.find(|cut| cut.input == place.0 && cut.partition == place.1)
                .cloned()
        });
        let position = cut.as_ref().map(|cut| cut.position.clone());
        found.push(Elsewhere {
            lag: behind(position.as_ref(), ends.get(&partition)),
            position,
            watermark: cut.as_ref().and_then(|cut| cut.watermark),
            ended: cut.is_some_and(|cut| cut.ended),
            input: input.name.clone(),
            partition,
            owner,
        });
    }
}

/// What is owned, and where partitions of one number meet in a lane what is read with them.
fn with_beside(start: &Checkpoint, owned: &BTreeSet<Place>) -> BTreeSet<Place> {
    let place = |cut: &PartitionCut| (cut.input.clone(), cut.partition.clone());
    let lanes = start.lanes.iter().map(|lane| &lane.partitions);
    let own = lanes.filter(|cuts| cuts.iter().any(|cut| owned.contains(&place(cut))));
    own.flatten()
        .map(place)
        .chain(owned.iter().cloned())
        .collect()
}

/// Where partitions of one number meet in a lane, who has the first of them has all.
fn follow_the_first(start: &Checkpoint, found: &mut [Elsewhere]) {
    let is =
        |of: &Elsewhere, cut: &PartitionCut| of.input == cut.input && of.partition == cut.partition;
    for lane in &start.lanes {
        let Some((first, beside)) = lane.partitions.split_first() else {
            continue;
        };
        let of_first = found.iter().find(|of| is(of, first));
        let Some(owner) = of_first.and_then(|of| of.owner.clone()) else {
            continue;
        };
        for of in found.iter_mut() {
            if of.owner.is_none() && beside.iter().any(|cut| is(of, cut)) {
                of.owner = Some(owner.clone());
            }
        }
    }
}

/// What the newest checkpoint of a partition's chain says of it.
fn newest(query: &Query, group: &Group, place: &Place) -> Option<PartitionCut> {
    let lane = lanes::name(&*query.plan, &place.0, &place.1);
    let log = (group.chain)(&folder_name(&lane)).ok()?;
    let newest = log.newest().ok()??;
    let mut cuts = newest.partitions();
    cuts.find(|cut| cut.input == place.0 && cut.partition == place.1)
        .cloned()
}

fn behind(position: Option<&Position>, end: Option<&Position>) -> Option<i64> {
    match (position, end) {
        (Some(Position::Number(position)), Some(Position::Number(end))) => {
            Some((end - position).max(0))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_for_only_while_somebody_asks_and_not_more_often_than_told() {
        let glance = Glance::default();
        assert!(!glance.wanted());
        assert!(glance.ask().is_empty());
        assert!(glance.wanted());
        let one = Elsewhere {
            input: "in".into(),
            partition: "in/0".into(),
            owner: Some("b".into()),
            position: Some(Position::Number(7)),
            lag: behind(Some(&Position::Number(7)), Some(&Position::Number(9))),
            watermark: None,
            ended: false,
        };
        assert_eq!(one.lag, Some(2));
        glance.found(vec![one], Duration::from_millis(1));
        assert!(!glance.wanted(), "it is fresh");
        assert_eq!(glance.ask().len(), 1);
        glance.found(Vec::new(), Duration::ZERO);
        *glance.due.lock() = None;
        *glance.asked.lock() = Instant::now().checked_sub(ASKING);
        assert!(!glance.wanted(), "nobody asks any more");
    }

    #[test]
    fn a_checkpoint_ahead_of_the_end_that_was_told_is_not_behind() {
        let (a, b) = (Position::Number(9), Position::Number(7));
        assert_eq!(behind(Some(&a), Some(&b)), Some(0));
        assert_eq!(behind(None, Some(&b)), None);
    }
}
