//! Which lane reads a partition: its name, which stays the same from run to run, because state lies by it.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::{SmolStr, format_smolstr};

use crate::epoch::checkpoint::{Checkpoint, LaneCut, PartitionCut};
use crate::plan::Plan;

/// The one lane that reads all partitions.
const GATHERED: &str = "gather";

/// How the name of a lane begins that reads the partitions of one number; that of a lane with one partition has a `:`.
const NUMBERED: &str = "partitions ";

/// The lane of a partition.
pub(crate) fn name(plan: &dyn Plan, input: &str, partition: &str) -> SmolStr {
    if plan.gathers() {
        return SmolStr::new_static(GATHERED);
    }
    match plan.number(input, partition) {
        Some(number) => format_smolstr!("{NUMBERED}{number}"),
        None => format_smolstr!("{input}:{partition}"),
    }
}

/// The partitions that a lane reads beside this one, as the first checkpoint of all says it.
pub(crate) fn beside<'c>(
    start: &'c Checkpoint,
    lane: &'c str,
    (input, partition): &'c (SmolStr, SmolStr),
) -> impl Iterator<Item = &'c PartitionCut> {
    let lanes = start.lanes.iter().filter(move |known| known.lane == lane);
    lanes
        .flat_map(|lane| &lane.partitions)
        .filter(move |cut| cut.input != *input || cut.partition != *partition)
}

/// The inputs whose partitions go with those of another one, the first of their lanes: who has that one's partition reads
/// theirs of its number.
pub(crate) fn accompanying(start: &Checkpoint) -> BTreeSet<&SmolStr> {
    let lanes = start.lanes.iter();
    let inputs = lanes.flat_map(|lane| lane.partitions.iter().map(move |cut| (lane, &cut.input)));
    let behind = inputs.filter(|(lane, input)| {
        let first = lane.partitions.first();
        first.is_some_and(|first| first.input != **input)
    });
    behind.map(|(_, input)| input).collect()
}

/// What the lane of these partitions, one at least, hands over before it has read anything.
pub(crate) fn beginning(plan: &dyn Plan, partitions: Vec<PartitionCut>) -> LaneCut {
    let lane = partitions.first();
    let lane = lane.map_or_else(SmolStr::default, |cut| {
        name(plan, &cut.input, &cut.partition)
    });
    LaneCut {
        lane,
        partitions,
        writer: None,
        kept: Vec::new(),
        state: BTreeMap::new(),
    }
}

/// Where a checkpoint's state lies and where the plan looks for it, in words, when these are two. State that nothing goes on from
/// may lie anywhere.
pub(crate) fn moved(
    plan: &dyn Plan,
    checkpoint: &Checkpoint,
) -> Option<(&'static str, &'static str)> {
    let lanes = checkpoint.lanes.iter();
    let dropped = plan.drops(&checkpoint.plan);
    let is_used = |step: &SmolStr| !dropped.contains(step);
    renamed(plan, lanes.filter(|lane| lane.state.keys().any(is_used)))
}

/// Where these lanes lay and where the plan looks for them, in words, when these are two.
pub(crate) fn renamed<'c>(
    plan: &dyn Plan,
    lanes: impl IntoIterator<Item = &'c LaneCut>,
) -> Option<(&'static str, &'static str)> {
    let cuts = |lane: &'c LaneCut| lane.partitions.iter().map(move |cut| (&lane.lane, cut));
    lanes.into_iter().flat_map(cuts).find_map(|(was, cut)| {
        let is = name(plan, &cut.input, &cut.partition);
        (is != *was).then(|| (lies(was), lies(&is)))
    })
}

fn lies(lane: &str) -> &'static str {
    if lane == GATHERED {
        "for all partitions together"
    } else if lane.contains(':') {
        "partition by partition"
    } else {
        "for the partitions of one number together"
    }
}
