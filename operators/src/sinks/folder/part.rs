//! A part: one file of an output from its first row until it is visible, and what a checkpoint says of it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thalweg_engine::epoch::segment::Span;
use thalweg_engine::error::Failure;
use thalweg_engine::query::new_id;

/// How the file ends that keeps the rows of a part whose format cannot grow: they become the part when it is complete.
const ROWS: &str = ".rows";

/// What a checkpoint says of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// Where it will be visible, below the folder of the table.
    pub(super) file: String,
    /// How many bytes of what is hidden are committed.
    pub(super) bytes: u64,
    /// Whether no row comes after them: it becomes visible with the epoch.
    pub(super) complete: bool,
    /// Whether these bytes are rows that have yet to become the part.
    pub(super) as_rows: bool,
    /// Where these bytes lie, oldest first, if that is beside the checkpoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) strands: Vec<Strand>,
}

/// Bytes of a part beside the checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64, u64)", into = "(u64, u64, u64)")]
pub(super) struct Strand {
    /// The number of the segment in the part's run.
    pub(super) segment: u64,
    /// Where they stand in it.
    pub(super) span: Span,
}

impl From<(u64, u64, u64)> for Strand {
    fn from((segment, from, length): (u64, u64, u64)) -> Self {
        Self {
            segment,
            span: Span { from, length },
        }
    }
}

impl From<Strand> for (u64, u64, u64) {
    fn from(strand: Strand) -> Self {
        (strand.segment, strand.span.from, strand.span.length)
    }
}

/// The name of a segment beside the checkpoints, which no other ever has: its run, and its number there.
pub(super) fn segment(run: &str, number: u64) -> String {
    format!("{run}-{number:06}-rows")
}

/// Where a part is hidden until it is visible: as it will be seen, or as rows that have yet to become that.
#[derive(Clone, Debug)]
pub(super) struct Hidden {
    pub(super) whole: PathBuf,
    pub(super) rows: PathBuf,
}

impl Hidden {
    pub(super) fn of(folder: &Path, file: &str) -> Self {
        let name = file.rsplit_once('/').map_or(file, |(_, name)| name);
        Self {
            whole: folder.join(name),
            rows: folder.join(format!("{name}{ROWS}")),
        }
    }

    /// A name for what is to become the whole part, which nobody else has: several processes may be about to make it.
    pub(super) fn half(&self) -> PathBuf {
        let mut name = self.whole.clone().into_os_string();
        name.push(format!(".{}.half", new_id()));
        PathBuf::from(name)
    }

    /// The file that rows are appended to.
    pub(super) fn growing(self, as_rows: bool) -> PathBuf {
        if as_rows { self.rows } else { self.whole }
    }
}

/// The name of a part, which no other part ever has: its number in its run, and the run.
pub(super) fn name(number: u64, run: &str, extension: &str) -> String {
    format!("part-{number:05}-{run}-c000{extension}")
}

/// The run that has begun a part.
pub(super) fn run_of(file: &str) -> &str {
    let name = file.rsplit_once('/').map_or(file, |(_, name)| name);
    name.split('-').nth(2).unwrap_or_default()
}

/// The bytes for a checkpoint; None when it has nothing to say.
pub(super) fn encode(parts: &[Part]) -> Option<Vec<u8>> {
    if parts.is_empty() {
        return None;
    }
    serde_json::to_vec(parts).ok()
}

/// The parts that a checkpoint names.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Part>, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::refuse(format!(
            "what the checkpoint says of the files that are being written cannot be read: {error}"
        ))
    })
}
