//! The output at the start of a run: brought to where the newest checkpoint stands, before anything is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use smol_str::SmolStr;

use crate::epoch::checkpoint::{Checkpoint, LaneCut};
use crate::epoch::store::Store;
use crate::error::Failure;
use crate::plan::{Opened, Side};
use crate::record::{Partition, Position};
use crate::sink::{Recovered, Recovery, TakenOver};

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
pub(crate) fn recover(
    opened: &Opened,
    checkpoint: &mut Checkpoint,
    store: &dyn Store,
) -> Result<(), Failure> {
    // What is prepared before an exchange is of the exchange's writers.
    let writes = |lane: &LaneCut| {
        let first = lane.partitions.first();
        first.is_none_or(|cut| opened.side(&cut.input) != Side::Before)
    };
    let rewound = checkpoint.rewound;
    bring(checkpoint, writes, (rewound, store), |recovery| {
        opened.sink.recover(recovery)
    })
}

/// As [`recover`], of the lane whose chain in this store this checkpoint has just claimed.
///
/// # Errors
/// As [`Sink::take_over`](crate::sink::Sink::take_over).
pub(crate) fn take_over(
    opened: &Opened,
    claim: &mut Checkpoint,
    rewound: bool,
    (store, owned): (&dyn Store, &(dyn Fn() -> bool + Sync)),
) -> Result<(), Failure> {
    let Some(lane) = claim.lanes.first() else {
        return Ok(());
    };
    let (name, input) = (lane.lane.clone(), lane.partitions.first());
    let sink = Arc::clone(opened.sink_of(input.map_or("", |cut| &cut.input)));
    bring(
        claim,
        |_| true,
        (rewound, store),
        |recovery| {
            sink.take_over(&TakenOver {
                lane: &name,
                recovery: recovery.clone(),
                owned,
            })
        },
    )
}

/// Lets an output do what a checkpoint says of these lanes, and notes in it what is done.
fn bring(
    checkpoint: &mut Checkpoint,
    writes: impl Fn(&LaneCut) -> bool,
    (rewound, store): (bool, &dyn Store),
    act: impl FnOnce(&Recovery<'_>) -> Result<Recovered, Failure>,
) -> Result<(), Failure> {
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
    let recovered = act(&Recovery {
        checkpoint: &checkpoint.checkpoint,
        epoch: checkpoint.epoch,
        rewound,
        prepared: &prepared,
        partitions: &partitions,
        store,
    })?;
    if recovered == Recovered::Done {
        for lane in checkpoint.lanes.iter_mut().filter(|lane| writes(lane)) {
            lane.writer = None;
            lane.kept.clear();
        }
    }
    Ok(())
}
