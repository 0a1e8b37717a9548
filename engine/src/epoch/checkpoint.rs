//! The checkpoint: what one committed epoch says, and its bytes.
//!
//! The bytes are one JSON object and a last line `crc32c:<8 hex>` over everything before that line.
//!
//! | given | then |
//! | --- | --- |
//! | checksum missing or wrong | damaged |
//! | `format` not from [`OLDEST`] to [`FORMAT`] | of another version |
//! | a field that this version does not know, or one missing | damaged |
//!
//! | format | beyond the one before |
//! | --- | --- |
//! | 1 | |
//! | 2 | [`Checkpoint::interval`], [`PartitionCut::seen`] |
//!
//! Each epoch is written in the format of the one before it, so that the version that wrote that one can take the query back;
//! only what begins anew, and an explicit command, writes [`FORMAT`]. What a format has no field for is left out of it, and
//! must be of no harm where it is missing.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::epoch::messages::Cut;
use crate::record::{Micros, Position};

/// The format in which this version begins.
pub const FORMAT: u32 = 2;
/// The oldest format that this version reads, and goes on to write where it is found.
pub const OLDEST: u32 = 1;
/// The highest number of an epoch that says where all partitions start and nothing else: 0, and one more for each move to another
/// format.
pub const START_MAX: u64 = (FORMAT - OLDEST) as u64;
/// What stands as the run of an epoch that was written to move to [`FORMAT`].
pub const UPGRADE: &str = "checkpoint-upgrade";

/// An interval between epochs that is no longer needs no word, so that the usual checkpoints stay as they are.
pub const USUAL_INTERVAL_MAX: Duration = Duration::from_secs(5);

/// One committed epoch of one query.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// From [`OLDEST`] to [`FORMAT`].
    pub format: u32,
    /// The job's name.
    pub job: String,
    /// The query's name.
    pub query: String,
    /// Made at epoch 0; the same for all epochs of one history.
    pub checkpoint: String,
    /// The run that committed it.
    pub run: String,
    /// Its number.
    pub epoch: u64,
    /// When it was committed.
    pub committed_at: Micros,
    /// How long it may take until the next one is committed. It stands where that is long and no lock tells whether anybody commits,
    /// and not in the last one of a run that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Micros>,
    /// Whether an explicit command wrote it to step over or back.
    pub rewound: bool,
    /// What of the plan must not change between runs.
    pub plan: serde_json::Value,
    /// Each source's own bytes in base64, by input.
    pub sources: BTreeMap<SmolStr, String>,
    /// What the plan keeps beside its rows, by name: which version of a model is in force.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<SmolStr, serde_json::Value>,
    /// What each lane handed over.
    pub lanes: Vec<LaneCut>,
}

/// What one lane hands over at a marker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneCut {
    /// The lane's name.
    pub lane: SmolStr,
    /// Where each of its partitions stands.
    pub partitions: Vec<PartitionCut>,
    /// The writer's own bytes in base64.
    pub writer: Option<String>,
    /// The objects that these bytes need.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<ObjectRef>,
    /// The state objects of each step, oldest first.
    pub state: BTreeMap<SmolStr, Vec<ObjectRef>>,
}

/// An object of the folder `state`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectRef {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// Objects of one step that were merged into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The lane.
    pub lane: SmolStr,
    /// The step.
    pub step: SmolStr,
    /// What it stands for, in the order of the chain.
    pub covers: Vec<String>,
    /// The new object.
    pub object: ObjectRef,
}

/// Where one partition stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionCut {
    /// The step that reads it.
    pub input: SmolStr,
    /// Its name.
    pub partition: SmolStr,
    /// Where to read next.
    pub position: Position,
    /// Its watermark.
    pub watermark: Option<Micros>,
    /// The watermark that it has seen beyond that, in a run that is one batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Micros>,
    /// Whether it has ended for good.
    pub ended: bool,
    /// Where its rows begin to be written, while what stands before is read to build state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Position>,
}

/// Why bytes are not a checkpoint of this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Truncated or edited.
    Checksum,
    /// Of another version of the format.
    Format(u64),
    /// Not what this format says, although the checksum is right.
    Content(String),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum => {
                f.write_str("it is truncated or was edited: its checksum does not match")
            }
            Self::Format(format) => write!(
                f,
                "it has format {format}, and this version reads formats {OLDEST} to {FORMAT}: use the version of thalweg that wrote it, or a newer one"
            ),
            Self::Content(why) => write!(f, "its content is not a checkpoint: {why}"),
        }
    }
}

impl fmt::Debug for Checkpoint {
    /// Short: `notification#12 {invoices/0: 310, invoices/1: 298}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{} ", self.query, self.epoch)?;
        f.debug_map()
            .entries(
                self.partitions()
                    .map(|cut| (cut.partition.as_str(), &cut.position)),
            )
            .finish()
    }
}

const SEAL: &str = "crc32c:";

impl Checkpoint {
    /// All partitions of all lanes.
    pub fn partitions(&self) -> impl Iterator<Item = &PartitionCut> {
        self.lanes.iter().flat_map(|lane| &lane.partitions)
    }

    /// The partition whose event time holds the others back: the one with the lowest watermark, where there are several.
    pub fn held_back_by(&self) -> Option<&PartitionCut> {
        let timed = self.partitions().filter(|cut| cut.watermark.is_some());
        let slowest = timed.min_by_key(|cut| cut.watermark)?;
        let others = self
            .partitions()
            .filter(|cut| cut.watermark > slowest.watermark);
        (others.count() > 0).then_some(slowest)
    }

    /// The names of all objects that it needs: of state, and those that writers keep beside it.
    pub fn objects(&self) -> impl Iterator<Item = &String> {
        let kept = self.lanes.iter().flat_map(|lane| &lane.kept);
        self.state().chain(kept.map(|object| &object.name))
    }

    /// The names of the objects that hold state.
    pub fn state(&self) -> impl Iterator<Item = &String> {
        self.lanes
            .iter()
            .flat_map(|lane| lane.state.values().flatten())
            .map(|object| &object.name)
    }

    /// Puts a merged object in the place of those it stands for. False when they are not there any more.
    pub fn replace(&mut self, merged: &Merged) -> bool {
        let chain = self
            .lanes
            .iter_mut()
            .find(|lane| lane.lane == merged.lane)
            .and_then(|lane| lane.state.get_mut(&merged.step));
        let Some(chain) = chain else {
            return false;
        };
        let stretch = chain
            .windows(merged.covers.len().max(1))
            .position(|some| some.iter().map(|object| &object.name).eq(&merged.covers));
        let Some(begin) = stretch else {
            return false;
        };
        chain.splice(begin..begin + merged.covers.len(), [merged.object.clone()]);
        true
    }

    /// The partitions of an input that have ended for good.
    pub fn ended(&self, input: &str) -> BTreeSet<SmolStr> {
        self.partitions()
            .filter(|cut| cut.input == input && cut.ended)
            .map(|cut| cut.partition.clone())
            .collect()
    }

    /// Names these partitions of an input no more. The last of a lane stay where the lane has state or its writer something to
    /// go on with.
    pub fn let_go(&mut self, input: &str, gone: &BTreeSet<SmolStr>) {
        let is_gone = |part: &PartitionCut| {
            part.input == input && part.ended && gone.contains(&part.partition)
        };
        self.lanes.retain_mut(|lane| {
            if lane.partitions.iter().any(|part| !is_gone(part)) {
                lane.partitions.retain(|part| !is_gone(part));
                return true;
            }
            lane.partitions.is_empty() || lane.writer.is_some() || !lane.state.is_empty()
        });
    }

    /// Puts what a lane hands over into the checkpoint. The lane's partitions and state objects that the cut does not name
    /// stay as they are.
    pub fn take(&mut self, name: &SmolStr, cut: &Cut) {
        let lanes = &mut self.lanes;
        // A partition that another lane had before (a query that was gathered) has moved.
        let moved = |part: &PartitionCut| {
            cut.partitions
                .iter()
                .any(|new| new.input == part.input && new.partition == part.partition)
        };
        for lane in lanes.iter_mut() {
            lane.partitions.retain(|part| !moved(part));
        }
        lanes.retain(|lane| lane.lane == *name || !lane.partitions.is_empty());
        let place = lanes
            .iter()
            .position(|lane| lane.lane == *name)
            .unwrap_or_else(|| {
                lanes.push(LaneCut {
                    lane: name.clone(),
                    partitions: Vec::new(),
                    writer: None,
                    kept: Vec::new(),
                    state: BTreeMap::new(),
                });
                lanes.len() - 1
            });
        let lane = &mut lanes[place];
        lane.partitions.extend(cut.partitions.iter().cloned());
        let writer = cut.writer.as_ref();
        lane.writer = writer.map(|prepared| BASE64.encode(&prepared.bytes));
        lane.kept = writer.map_or_else(Vec::new, |prepared| prepared.objects.clone());
        for object in &cut.state {
            let chain = lane.state.entry(object.step.clone()).or_default();
            if object.whole {
                chain.clear();
            }
            chain.push(object.object.clone());
        }
    }

    /// Whether it says where all partitions start, and nothing was committed behind it but moves to another format.
    pub fn is_the_start(&self) -> bool {
        self.epoch == 0 || (self.epoch <= START_MAX && self.run == UPGRADE)
    }

    /// The same without what its format has no field for.
    fn within_its_format(&self) -> Cow<'_, Self> {
        let later = self.interval.is_some() || self.partitions().any(|cut| cut.seen.is_some());
        if self.format >= 2 || !later {
            return Cow::Borrowed(self);
        }
        let mut without = self.clone();
        without.interval = None;
        for cut in without
            .lanes
            .iter_mut()
            .flat_map(|lane| &mut lane.partitions)
        {
            cut.seen = None;
        }
        Cow::Owned(without)
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        // A value of plain strings, numbers and maps with string keys always has a JSON form.
        let mut bytes = serde_json::to_vec(&self.within_its_format()).unwrap_or_default();
        bytes.push(b'\n');
        let seal = format!("{SEAL}{:08x}\n", crc32c::crc32c(&bytes));
        bytes.extend_from_slice(seal.as_bytes());
        bytes
    }

    /// The checkpoint that the bytes hold.
    ///
    /// # Errors
    /// See the table above. Never panics, whatever the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let seal_at = bytes
            .len()
            .checked_sub(SEAL.len() + 9)
            .ok_or(Damage::Checksum)?;
        let (content, seal) = bytes.split_at(seal_at);
        if seal != format!("{SEAL}{:08x}\n", crc32c::crc32c(content)).as_bytes() {
            return Err(Damage::Checksum);
        }
        let value: serde_json::Value =
            serde_json::from_slice(content).map_err(|error| Damage::Content(error.to_string()))?;
        let format = value
            .get("format")
            .and_then(serde_json::Value::as_u64)
            .ok_or_else(|| Damage::Content("it has no format".into()))?;
        if !(u64::from(OLDEST)..=u64::from(FORMAT)).contains(&format) {
            return Err(Damage::Format(format));
        }
        serde_json::from_value(value).map_err(|error| Damage::Content(error.to_string()))
    }
}
