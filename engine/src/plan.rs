//! What the author of a query provides: its steps, and clients for each run.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::error::Failure;
use crate::flow::lane::OnError;
use crate::flow::pipeline::{Step, Target};
use crate::sink::Sink;
use crate::source::Source;

/// The steps of a query, as its author wrote them. The engine opens it once per run.
pub trait Plan: Send + Sync {
    /// Opens new clients for a run. May block.
    ///
    /// # Errors
    /// When an input or output cannot be opened.
    fn open(&self, run: &str) -> Result<Opened, Failure>;

    /// New operators for one lane.
    fn steps(&self) -> Vec<Step>;

    /// Whether one lane reads all partitions.
    fn gathers(&self) -> bool;

    /// What must stay as it is from run to run.
    fn identity(&self) -> serde_json::Value;

    /// Whether a checkpoint of a plan with the identity `old` can be continued.
    ///
    /// # Errors
    /// The reason why not, in words for the user.
    fn compare(&self, old: &serde_json::Value) -> Result<(), String>;
}

/// The clients of one run.
pub struct Opened {
    /// The inputs.
    pub inputs: Vec<Input>,
    /// The output.
    pub sink: Arc<dyn Sink>,
    /// What becomes of bad records.
    pub on_error: OnError,
}

/// One input of a run.
pub struct Input {
    /// The name of its step.
    pub name: SmolStr,
    /// Where its rows enter the pipeline.
    pub entry: Target,
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
