//! What the author of a query provides: its steps, and clients for each run.

use std::collections::BTreeMap;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::epoch::checkpoint::Checkpoint;
use crate::error::Failure;
use crate::flow::lane::OnError;
use crate::flow::pipeline::{Step, Target};
use crate::lanes;
use crate::sink::Sink;
use crate::source::Source;

/// The steps of a query, as its author wrote them. The engine opens it once per run.
pub trait Plan: Send + Sync {
    /// Opens new clients for a run. May block.
    ///
    /// # Errors
    /// When an input or output cannot be opened.
    fn open(&self, run: &str) -> Result<Opened, Failure>;

    /// New operators for one lane of this side. `before` are the partitions that the lanes before exchanges begin with, each
    /// with its input.
    fn steps(&self, side: Side, before: &[(SmolStr, SmolStr)]) -> Vec<Step>;

    /// Whether one lane reads all partitions.
    fn gathers(&self) -> bool;

    /// The number of a partition, where one lane reads that number of all inputs, because rows that meet lie in partitions
    /// of one number. None where each partition has its own lane.
    fn number(&self, input: &str, partition: &str) -> Option<u32> {
        let _ = (input, partition);
        None
    }

    /// Looks at the partitions that a run begins with, each with its input, before any is read.
    ///
    /// # Errors
    /// `Refuse` where rows that meet cannot come to one lane.
    fn fits(&self, partitions: &[(SmolStr, SmolStr)]) -> Result<(), Failure> {
        let _ = partitions;
        Ok(())
    }

    /// What it keeps beside its rows that each checkpoint must name, by name. Asked at every commit.
    fn beside(&self) -> BTreeMap<SmolStr, serde_json::Value> {
        BTreeMap::new()
    }

    /// What must stay as it is from run to run.
    fn identity(&self) -> serde_json::Value;

    /// Whether a checkpoint of a plan with the identity `old` can be continued.
    ///
    /// # Errors
    /// The reason why not, in words for the user.
    fn compare(&self, old: &serde_json::Value) -> Result<(), String>;

    /// As [`Plan::compare`], of inputs and output alone: for a checkpoint that holds no state.
    ///
    /// # Errors
    /// As [`Plan::compare`].
    fn compare_ends(&self, old: &serde_json::Value) -> Result<(), String> {
        self.compare(old)
    }

    /// The steps of which a checkpoint of a plan with the identity `old` has no state, or not all: what a warm-up builds beside
    /// the state that is kept.
    fn lacks(&self, old: &serde_json::Value) -> Vec<SmolStr> {
        let _ = old;
        Vec::new()
    }

    /// The steps of a plan with the identity `old` of whose state it goes on with nothing.
    fn drops(&self, old: &serde_json::Value) -> Vec<SmolStr> {
        let _ = old;
        Vec::new()
    }
}

/// Whether the state of a checkpoint lies where a plan looks for it: for all partitions, or for each.
///
/// # Errors
/// Where it lies, and where it is looked for, in words for the user.
pub fn finds_state(plan: &dyn Plan, checkpoint: &Checkpoint) -> Result<(), String> {
    match lanes::moved(plan, checkpoint) {
        None => Ok(()),
        Some((was, is)) => Err(format!("its state lies {was}, and is kept {is} now")),
    }
}

/// Where a lane stands in its query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// The query has no exchange.
    #[default]
    Whole,
    /// Before the exchange: it reads an input and writes the exchange.
    Before,
    /// Behind the exchange: it reads the exchange and writes the output.
    Behind,
}

/// A log through which rows of one input change lanes: the lanes before it write it, those behind it read it. Both are lanes
/// of one query with one ledger, and their cuts need not be of one moment: what is in the log is safe, and what is written or
/// read again is known by its coordinate.
pub struct Exchange {
    /// The input whose lanes write it.
    pub of: SmolStr,
    /// The log, as it is read.
    pub input: Input,
    /// The log, as it is written.
    pub sink: Arc<dyn Sink>,
}

/// The clients of one run.
pub struct Opened {
    /// The inputs.
    pub inputs: Vec<Input>,
    /// The logs between the two sides of the query, where it has them: one for each input. Such a query does not gather.
    pub exchanges: Vec<Exchange>,
    /// The output.
    pub sink: Arc<dyn Sink>,
    /// What becomes of bad records.
    pub on_error: OnError,
}

impl Opened {
    /// The inputs, then the exchanges as such.
    pub fn all_inputs(&self) -> impl Iterator<Item = &Input> {
        let exchanges = self.exchanges.iter().map(|exchange| &exchange.input);
        self.inputs.iter().chain(exchanges)
    }

    /// The output, then dead letters and the exchanges, where there are any.
    pub fn sinks(&self) -> Vec<Arc<dyn Sink>> {
        let mut sinks = vec![Arc::clone(&self.sink)];
        if let OnError::DeadLetter(dead) = &self.on_error {
            sinks.push(Arc::clone(&dead.sink));
        }
        sinks.extend(
            self.exchanges
                .iter()
                .map(|exchange| Arc::clone(&exchange.sink)),
        );
        sinks
    }

    /// Closes all clients. Blocks until they are gone.
    pub fn close(&self) {
        for input in self.all_inputs() {
            input.source.close();
        }
        for sink in self.sinks() {
            sink.close();
        }
    }

    /// On which side the lanes of an input stand.
    pub fn side(&self, input: &str) -> Side {
        if self.exchanges.is_empty() {
            return Side::Whole;
        }
        let mut exchanges = self.exchanges.iter();
        if exchanges.any(|exchange| exchange.input.name == input) {
            Side::Behind
        } else {
            Side::Before
        }
    }

    /// What the lanes of an input write.
    pub fn sink_of(&self, input: &str) -> &Arc<dyn Sink> {
        let mut exchanges = self.exchanges.iter();
        exchanges
            .find(|exchange| exchange.of == input)
            .map_or(&self.sink, |exchange| &exchange.sink)
    }
}

/// One input of a run.
pub struct Input {
    /// The name of its step.
    pub name: SmolStr,
    /// Where its rows enter the pipeline: each record goes to all of these, in this order.
    pub entries: Vec<Target>,
    /// What it is.
    pub role: Role,
    /// It.
    pub source: Arc<dyn Source>,
}

/// What an input is to its query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// Its rows have event times: its partitions hold the watermark back.
    pub event_time: bool,
    /// It is a table that rows of the streams are joined with: they wait until it has been read to its end once.
    pub table: bool,
}
