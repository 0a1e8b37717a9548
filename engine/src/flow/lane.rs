//! What a lane is made of, before it lives on its thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use smol_str::SmolStr;
use tokio::sync::watch;

use crate::epoch::ledger::LaneId;
use crate::epoch::messages::News;
use crate::error::RecordError;
use crate::flow::pipeline::{Step, Target};
use crate::metrics::QueryMetrics;
use crate::plan::{Role, Side};
use crate::record::{Micros, Partition, Position, Record};
use crate::row::Row;
use crate::sink::{Beside, Sink};
use crate::source::Source;
use crate::state::{StateBudget, StateChanges};
use crate::workers::Workers;

/// One partition to read, and from where.
pub struct Reading {
    /// Which.
    pub partition: Arc<Partition>,
    /// From which source.
    pub source: Arc<dyn Source>,
    /// Where its rows enter the pipeline.
    pub entries: Vec<Target>,
    /// The first position to read.
    pub from: Position,
    /// Where its rows begin to be written, when what stands before is read to build state.
    pub start: Option<Position>,
    /// The end of a bounded run.
    pub until: Option<Position>,
    /// Its watermark as of the checkpoint.
    pub watermark: Option<Micros>,
    /// The watermark that it had seen beyond that, in a run that was one batch.
    pub seen: Option<Micros>,
    /// Whether the checkpoint does not name it.
    pub new: bool,
    /// What its input is.
    pub role: Role,
}

/// What a record that fails does.
#[derive(Clone)]
pub enum OnError {
    /// The query ends.
    Fail,
    /// It is skipped and counted.
    Skip,
    /// It goes to another table.
    DeadLetter(DeadLetters),
}

/// Makes the row of a dead letter.
pub type DeadLetterRow = Arc<dyn Fn(&Record, &RecordError) -> Row + Send + Sync>;

/// Where bad records go.
#[derive(Clone)]
pub struct DeadLetters {
    /// The table.
    pub sink: Arc<dyn Sink>,
    /// Makes its row of a record and its error.
    pub row: DeadLetterRow,
}

/// Everything a lane is made of. Sent to the thread that it will live on.
pub struct LaneSpec {
    /// Its number in this run.
    pub id: LaneId,
    /// Its name, unique in the query and the same after every restart.
    pub name: SmolStr,
    /// The run's id.
    pub run: Arc<str>,
    /// Where it stands in its query.
    pub side: Side,
    /// The partitions it begins with.
    pub readings: Vec<Reading>,
    /// Whether others wait for the end of some of them, and will be read here too.
    pub more: bool,
    /// Makes its operators, on its own thread.
    pub steps: Box<dyn Fn() -> Vec<Step> + Send>,
    /// The steps that are built from what is read back, beside the state of the others.
    pub builds: Option<Arc<BTreeSet<SmolStr>>>,
    /// The state of its steps.
    pub state: BTreeMap<SmolStr, Vec<StateChanges>>,
    /// The epoch that its first rows will be committed with.
    pub epoch: u64,
    /// What its writer had prepared in the newest checkpoint.
    pub prepared: Option<Vec<u8>>,
    /// The output.
    pub sink: Arc<dyn Sink>,
    /// What becomes of bad records.
    pub on_error: OnError,
    /// Whether messages may quote what a record holds.
    pub show_records: bool,
    /// The trigger's interval; None when continuous.
    pub trigger: Option<Duration>,
    /// Whether all that it reads in this run is one batch: nothing in it is late for the rest of it.
    pub one_batch: bool,
    /// How long a partition stays at its end before it counts as idle.
    pub idle_timeout: Duration,
    /// How far one input may be ahead of another in event time.
    pub alignment_max: Duration,
    /// The memory that state may take.
    pub budget: Arc<StateBudget>,
    /// Where its reports go.
    pub coordinator: Recipient<News>,
    /// Where its state goes, and what its writer keeps there.
    pub beside: Beside,
    /// Where that is done.
    pub workers: Workers,
    /// What it counts into.
    pub metrics: Arc<QueryMetrics>,
    /// Since when the query is paused.
    pub pauses: watch::Receiver<Option<std::time::Instant>>,
}

impl LaneSpec {
    /// Whether it has records to read from before a starting position, or waits for lanes that have.
    pub fn warms_up(&self) -> bool {
        self.builds.is_some() || self.readings.iter().any(|reading| reading.start.is_some())
    }
}
