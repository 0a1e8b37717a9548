//! Records: a row with its place and time. One that cannot be decoded still has a place.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::error::RecordError;
use crate::row::Row;

/// Microseconds since 1970-01-01T00:00:00Z.
pub type Micros = i64;

/// A named part of an input that is read in order, for example `invoices/3` of the table `invoices`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    /// The step that reads it: the name of the table.
    pub input: SmolStr,
    /// Its name within the input, unique there and the same after every restart.
    pub name: SmolStr,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Where to read *next*: a number or a source's own token. The engine keeps it and never calculates with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Position {
    /// A number, such as a Kafka offset.
    Number(i64),
    /// A token that only the source understands.
    Token(Arc<str>),
}

impl Position {
    /// The position behind a record's own where positions count records; None for tokens.
    pub fn next_number(&self) -> Option<Self> {
        match self {
            Self::Number(number) => Some(Self::Number(number.saturating_add(1))),
            Self::Token(_) => None,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Token(token) => f.write_str(token),
        }
    }
}

/// What is known of a record beside its values. Travels beside the row through all steps.
#[derive(Clone, Debug)]
pub struct RecordMeta {
    /// The partition it was read from.
    pub partition: Arc<Partition>,
    /// Its own position there.
    pub position: Position,
    /// The time that the source's system gave it (Kafka: the message's timestamp).
    pub record_time: Option<Micros>,
    /// The time that its `WATERMARK` expression gave it; None before that step.
    pub event_time: Option<Micros>,
    /// What was promised before it came: nothing earlier than this, from its partition or from all of the lane together.
    /// A row that counts only before this time is late.
    pub watermark: Option<Micros>,
    /// When the engine took it, by the wall clock: `current_timestamp`.
    pub taken_at: Micros,
    /// When the engine took it, by the monotonic clock: the start of its latency.
    pub taken: Instant,
}

/// The original of a record as its source holds it, for dead letters.
pub trait Raw {
    /// The key's bytes.
    fn key(&self) -> Option<&[u8]>;
    /// The value's bytes.
    fn value(&self) -> Option<&[u8]>;
    /// The headers, in order.
    fn headers(&self) -> Vec<(SmolStr, Option<Vec<u8>>)>;
}

/// Why a record yields no row although nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skip {
    /// A null value in a stream.
    Tombstone,
    /// Malformed, and the input's `mode` is DROPMALFORMED.
    Malformed,
}

/// What a record holds.
#[derive(Debug)]
pub enum Body {
    /// The columns that the plan asked the source for, in that order.
    Row(Row),
    /// No row; the record moves the position all the same.
    Skipped(Skip),
    /// It could not be decoded.
    Bad(Box<RecordError>),
}

/// One record of an input.
pub struct Record {
    /// Place and times.
    pub meta: RecordMeta,
    /// The position after it: where to go on when this record is done.
    pub next: Position,
    /// Its values.
    pub body: Body,
    /// Bytes that it took in its source's system (key and value), for the counters.
    pub size: u32,
    /// A cheap handle to the original, alive until the record's last step has returned.
    pub raw: Option<Box<dyn Raw>>,
}
