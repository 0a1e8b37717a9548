//! The output at the start of a run: brought to where the newest checkpoint stands, before anything is read.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use smol_str::SmolStr;

use crate::epoch::checkpoint::{Checkpoint, LaneCut};
use crate::error::Failure;
use crate::plan::{Opened, Side};
use crate::record::{Partition, Position};
use crate::sink::{Recovered, Recovery};

/// What the writers of these lanes had prepared.
pub(crate) fn prepared_by<'l>(
    lanes: impl IntoIterator<Item = &'l LaneCut>,
) -> BTreeMap<SmolStr, Vec<u8>> {
    lanes
        .into_iter()
        .filter_map(|lane| {
            let bytes = BASE64.decode(lane.writer.as_ref()?).ok()?;
            Some((lane.lane.clone(), bytes))
        })
        .collect()
}

/// Brings the output to where the checkpoint stands. The bytes of lanes that the run will not have are done with here, too:
/// nobody else would.
///
/// # Errors
/// As [`Sink::recover`](crate::sink::Sink::recover).
pub(crate) fn recover(opened: &Opened, checkpoint: &mut Checkpoint) -> Result<(), Failure> {
    // What is prepared before an exchange is of the exchange's writers.
    let writes = |lane: &LaneCut| {
        let first = lane.partitions.first();
        first.is_none_or(|cut| opened.side(&cut.input) != Side::Before)
    };
    let prepared = prepared_by(checkpoint.lanes.iter().filter(|lane| writes(lane)));
    let cuts = checkpoint.lanes.iter().filter(|lane| writes(lane));
    let cuts = cuts.flat_map(|lane| &lane.partitions);
    let partitions: Vec<(Partition, Position)> = cuts
        .map(|cut| {
            let partition = Partition {
                input: cut.input.clone(),
                name: cut.partition.clone(),
            };
            (partition, cut.position.clone())
        })
        .collect();
    let recovered = opened.sink.recover(&Recovery {
        checkpoint: &checkpoint.checkpoint,
        epoch: checkpoint.epoch,
        rewound: checkpoint.rewound,
        prepared: &prepared,
        partitions: &partitions,
    })?;
    if recovered == Recovered::Done {
        for lane in checkpoint.lanes.iter_mut().filter(|lane| writes(lane)) {
            lane.writer = None;
        }
    }
    Ok(())
}
