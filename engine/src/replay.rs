//! Where a query stood before a record, as a kept checkpoint says it: what a replay beside the job begins from. Nothing is
//! locked or changed.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::StreamExt;
use smol_str::SmolStr;

use crate::epoch::checkpoint::{Checkpoint, LaneCut, PartitionCut};
use crate::epoch::checkpoint_log::CheckpointLog;
use crate::error::Failure;
use crate::plan::Plan;
use crate::record::{Micros, Position};
use crate::restoring::{accept, read_lane};
use crate::source::{RecordStream, SourceEvent};
use crate::state::StateChanges;

/// How often a running job may remove what is being looked at.
const TRIES: usize = 5;

/// A lane in a kept checkpoint.
pub struct KeptLane {
    /// The checkpoint's id.
    pub checkpoint: String,
    /// The epoch.
    pub epoch: u64,
    /// When it was committed.
    pub committed_at: Micros,
    /// Where each partition of the lane stood.
    pub partitions: Vec<PartitionCut>,
    /// The state of its steps.
    pub state: BTreeMap<SmolStr, Vec<StateChanges>>,
    /// Where each partition stood in the oldest kept checkpoint behind the record, by input and partition: what comes
    /// later was certainly behind it. None where there is none.
    pub behind: Option<BTreeMap<(SmolStr, SmolStr), Position>>,
    /// Each source's own bytes, by input.
    pub sources: BTreeMap<SmolStr, Vec<u8>>,
    /// What the plan keeps beside its steps: which versions of models were in force.
    pub beside: BTreeMap<SmolStr, serde_json::Value>,
}

fn cut<'l>(lane: &'l LaneCut, input: &str, partition: &str) -> Option<&'l PartitionCut> {
    let mut cuts = lane.partitions.iter();
    cuts.find(|cut| cut.input == input && cut.partition == partition)
}

/// The lane that reads a partition, in the newest kept checkpoint at or before a position of it; None where none is kept.
///
/// # Errors
/// When the checkpoint is of another query, its plan is another, or it is damaged.
pub fn kept_lane(
    log: &CheckpointLog,
    plan: &dyn Plan,
    (job, query): (&str, &str),
    (input, partition): (&str, &str),
    position: i64,
) -> Result<Option<KeptLane>, Failure> {
    let mut tried = 0;
    loop {
        tried += 1;
        let Some((checkpoint, behind)) = newest_before(log, (input, partition), position)? else {
            return Ok(None);
        };
        accept(log, plan, job, query, &checkpoint)?;
        let lanes = checkpoint.lanes.iter();
        let Some(lane) = lanes
            .into_iter()
            .find(|lane| cut(lane, input, partition).is_some())
        else {
            return Ok(None);
        };
        match read_lane(log, checkpoint.epoch, lane) {
            Ok(state) => {
                return Ok(Some(KeptLane {
                    partitions: lane.partitions.clone(),
                    state,
                    behind,
                    sources: checkpoint
                        .sources
                        .iter()
                        .filter_map(|(input, text)| {
                            Some((input.clone(), BASE64.decode(text).ok()?))
                        })
                        .collect(),
                    beside: checkpoint.beside,
                    epoch: checkpoint.epoch,
                    committed_at: checkpoint.committed_at,
                    checkpoint: checkpoint.checkpoint,
                }));
            }
            // The job has forgotten the epoch since; what it keeps now is asked again.
            Err(_) if tried < TRIES && log.read(checkpoint.epoch).is_err() => {}
            Err(failure) => return Err(failure),
        }
    }
}

/// The next event of a partition that is replayed; None when it has no more.
pub async fn next(stream: &mut RecordStream) -> Option<SourceEvent> {
    stream.next().await
}

type Behind = BTreeMap<(SmolStr, SmolStr), Position>;

fn newest_before(
    log: &CheckpointLog,
    (input, partition): (&str, &str),
    position: i64,
) -> Result<Option<(Checkpoint, Option<Behind>)>, Failure> {
    let mut behind = None;
    for kept in log.list()?.iter().rev() {
        let checkpoint = match log.read(kept.epoch) {
            Ok(checkpoint) => checkpoint,
            // An epoch that the job has forgotten since is not kept.
            Err(_) if !log.list()?.iter().any(|still| still.epoch == kept.epoch) => continue,
            Err(failure) => return Err(failure),
        };
        let lanes = checkpoint.lanes.iter();
        let stood = lanes
            .filter_map(|lane| cut(lane, input, partition))
            .find_map(|cut| match cut.position {
                Position::Number(number) => Some(number),
                Position::Token(_) | Position::Row(..) => None,
            });
        match stood {
            Some(stood) if stood <= position => return Ok(Some((checkpoint, behind))),
            Some(_) => {
                let cuts = checkpoint.partitions();
                let place = |cut: &PartitionCut| (cut.input.clone(), cut.partition.clone());
                behind = Some(cuts.map(|cut| (place(cut), cut.position.clone())).collect());
            }
            None => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::epoch::checkpoint::FORMAT;
    use crate::epoch::store::FolderStore;

    /// A log that keeps so many epochs, each of which stands at one of these positions.
    fn log(folder: &std::path::Path, kept: usize, positions: &[i64]) -> CheckpointLog {
        let store = FolderStore::lock(folder).unwrap();
        let log = CheckpointLog::new(Arc::new(store), kept, false);
        for (epoch, position) in positions.iter().enumerate() {
            let cut = |partition: &str, position: i64| PartitionCut {
                input: "in".into(),
                partition: partition.into(),
                position: Position::Number(position),
                watermark: None,
                seen: None,
                ended: false,
                start: None,
            };
            let mut checkpoint: Checkpoint = serde_json::from_value(json!({
                "format": FORMAT, "job": "j", "query": "q", "checkpoint": "c", "run": "r", "epoch": epoch,
                "committed_at": epoch, "rewound": false, "plan": null, "sources": {}, "lanes": []
            }))
            .unwrap();
            checkpoint.lanes.push(LaneCut {
                lane: "all".into(),
                partitions: vec![cut("in/0", *position), cut("in/1", 7)],
                writer: None,
                kept: Vec::new(),
                state: BTreeMap::new(),
            });
            log.commit(&checkpoint).unwrap();
        }
        log
    }

    /// The epoch that a record is replayed from, and where its partition stood in the oldest one behind it.
    fn found(log: &CheckpointLog, position: i64) -> Option<(u64, Option<Position>)> {
        let found = newest_before(log, ("in", "in/0"), position).unwrap();
        found.map(|(checkpoint, behind)| {
            let behind = behind.map(|mut all| all.remove(&("in".into(), "in/0".into())).unwrap());
            (checkpoint.epoch, behind)
        })
    }

    #[test]
    fn a_record_is_replayed_from_the_newest_kept_checkpoint_at_or_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path(), 100, &[0, 10, 10, 25, 40, 40, 60]);
        let at = |position| Some(Position::Number(position));
        assert_eq!(found(&log, 0), Some((0, at(10))));
        assert_eq!(found(&log, 9), Some((0, at(10))));
        // Position 10 is what is read next: the record there is behind both.
        assert_eq!(found(&log, 10), Some((2, at(25))));
        assert_eq!(found(&log, 24), Some((2, at(25))));
        assert_eq!(found(&log, 25), Some((3, at(40))));
        assert_eq!(found(&log, 59), Some((5, at(60))));
        assert_eq!(found(&log, 1_000), Some((6, None)));
    }

    #[test]
    fn there_is_none_before_the_oldest_that_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path(), 3, &[0, 10, 10, 25, 40, 40, 60]);
        assert_eq!(found(&log, 39), None);
        assert_eq!(found(&log, 40), Some((5, Some(Position::Number(60)))));
        let other = newest_before(&log, ("in", "in/2"), 1_000).unwrap();
        assert!(other.is_none());
    }
}
