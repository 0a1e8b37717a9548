//! What a GROUP BY is, between the plan that describes it and the operator that runs it.

use serde::{Deserialize, Serialize};
use thalweg_engine::record::Micros;
use thalweg_engine::schema::DataType;

use crate::extensions::Own;
use crate::stateful::contents::types_as_json;

/// A GROUP BY. Its rows come as `[key columns..., arguments and filters...]`; what it emits is
/// `[key columns..., one result per aggregate...]`, with the window's struct in its place among the key columns.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grouping {
    /// The types of the key columns of the incoming row, without the window's.
    #[serde(with = "types_as_json::several")]
    pub keys: Vec<DataType>,
    /// The window of event time or any other time, where there is one.
    pub window: Option<Window>,
    /// The aggregates.
    pub aggregates: Vec<Aggregate>,
    /// What is emitted, and when.
    pub emits: Emits,
    /// When a group is over and may be forgotten.
    pub over: Over,
    /// Groups without a watermark are forgotten when they have not changed for so long (`stateTtl`).
    pub ttl: Option<Micros>,
}

/// A window of time as part of the key. The row's time stands in the column `time`; a row whose time is NULL is dropped.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Window {
    /// The place of the time (TIMESTAMP or TIMESTAMP_NTZ) in the incoming row.
    pub time: usize,
    /// Its type: TIMESTAMP or TIMESTAMP_NTZ; the bounds of windows have it too.
    #[serde(with = "types_as_json")]
    pub data_type: DataType,
    /// Where the window's struct stands among the key columns of what is emitted.
    pub at: usize,
    /// How windows are cut.
    pub shape: Shape,
}

/// How windows are cut.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Shape {
    /// `window(time, size, slide, start)`; tumbling when slide equals size. Microseconds.
    Fixed {
        /// Its length.
        size: Micros,
        /// From one beginning to the next; never more than the size.
        slide: Micros,
        /// What beginnings are counted from.
        start: Micros,
    },
    /// `session_window(time, gap)`: the gap in microseconds stands in this column of the incoming row, as a BIGINT; rows
    /// with NULL or a gap of 0 or less are dropped.
    Session {
        /// The column.
        gap: usize,
    },
}

/// The name of an aggregate function, as the table of them has it.
pub type FunctionName = &'static str;

/// One aggregate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Aggregate {
    /// What the state of this aggregate is known by from run to run: its canonical expression.
    pub identity: String,
    /// Lower-case name as Spark has it: `count`, `sum`, `avg`, `approx_count_distinct`...
    #[serde(deserialize_with = "types_as_json::function")]
    pub function: FunctionName,
    /// What makes it one that a program has added; a checkpoint holds that it is one.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "types_as_json::own"
    )]
    pub own: Option<Own>,
    /// The places of its arguments in the incoming row; empty for `count(*)`.
    pub arguments: Vec<usize>,
    /// Their types.
    #[serde(with = "types_as_json::several")]
    pub types: Vec<DataType>,
    /// The place of its FILTER condition in the incoming row.
    pub filter: Option<usize>,
    /// `DISTINCT`.
    pub distinct: bool,
    /// `IGNORE NULLS` of first and last.
    pub ignore_nulls: bool,
    /// What stands behind its arguments and is the same for all rows: percentages, an accuracy, a deviation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<f64>,
    /// A text that is the same for all rows: what `listagg` puts between two.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub delimiter: String,
    /// The type of its result.
    #[serde(with = "types_as_json")]
    pub result: DataType,
    /// Whether overflow is an error (ANSI) or NULL/wraps.
    pub ansi: bool,
}

/// What is emitted, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Emits {
    /// A group once, when the watermark has passed it.
    Append,
    /// The changed result at once, one for each incoming row and group.
    UpdateAtOnce,
    /// What changed since the last trigger, at the trigger.
    UpdateAtTrigger,
    /// The whole table at each trigger.
    Complete,
}

impl Emits {
    /// Whether it is what has changed. At once too, a change may wait: one that a run with a trigger has left.
    pub(super) fn changes(self) -> bool {
        matches!(self, Self::UpdateAtOnce | Self::UpdateAtTrigger)
    }
}

/// When a group is over: the watermark tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Over {
    /// Never.
    Never,
    /// When the watermark has reached the end of its window.
    Window,
    /// When the watermark has reached the time in this key column (the event time itself is a key).
    Key(usize),
}
