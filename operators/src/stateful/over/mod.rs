//! OVER: one answer for each record, at once, from the rows of its key that have arrived so far.
//!
//! A record is answered from the frame that ends at its own time, also when it comes out of order; no watermark is waited
//! for. All frames of one `PARTITION BY` and `ORDER BY` are one step with one set of kept rows.
//!
//! | frame | is kept for each key | work for each record |
//! | --- | --- | --- |
//! | from UNBOUNDED PRECEDING | the aggregates alone, in order of arrival | O(1) |
//! | `decayed_count`, `decayed_sum` | a count, the newest time and the sum at that time | O(1) |
//! | RANGE or ROWS n PRECEDING, `lag` | the rows in order of time, in a tree with partial aggregates | O(log n); no rescan |
//! | RANGE in steps (`frameStep`) | a pane of aggregates for each step, and the rows that are not behind the watermark | O(log n) |
//! | count(DISTINCT) of these | also how often each value stands in the frame, from 64 rows on | O(1) in order; a late record: the rows that it is late by |
//! | collect_list, collect_set of these | the rows | the length of the answer |
//!
//! **What is kept how long.** A row is forgotten when no frame of a record at the watermark or later can reach it, where the
//! order is the event time; else when no frame of a record as new as the newest of its key can. So a record that is not behind
//! the watermark is answered exactly; one behind it from the rows that are left. A key without rows and without aggregates from
//! UNBOUNDED PRECEDING is forgotten too; other keys stay until `stateTtl`.
//!
//! **Memory.** About 60 bytes a key and the key itself; 8 bytes for each number of an aggregate from UNBOUNDED PRECEDING (a
//! count has one, a sum, an average or what fades three); with kept rows 80 bytes a key more, and for each row 8 bytes for its time and 8
//! for each number, date or time that a function uses (8 more where one of them is a BIGINT or a TIMESTAMP; the time that rows are ordered by is kept once), 24 and the
//! content for a text longer than 23 bytes. With `step` a pane takes what a row would whose columns are the numbers of the
//! aggregates. `frameRowsMax` limits the rows and panes of one key.
//!
//! **State.** One entry for the aggregates of a key and one for each leaf of its tree (up to 12 rows): an epoch writes the
//! leaves that changed.

mod adopt;
mod answer;
mod cell;
mod changes;
mod contents;
mod decay;
mod distinct;
mod finish;
mod fold;
mod forget;
mod keys;
mod leaf;
mod node;
mod operator;
mod order;
mod panes;
mod precise;
mod program;
mod restore;
mod save;
mod tree;
mod wheel;

#[cfg(test)]
mod adopt_tests;
#[cfg(test)]
mod decay_tests;
#[cfg(test)]
mod model;
#[cfg(test)]
mod pane_tests;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use thalweg_engine::record::Micros;
use thalweg_engine::schema::DataType;

use crate::stateful::contents::types_as_json;

pub(super) use contents::OverReader;
pub use operator::Window;

/// The frames and functions over one PARTITION BY and ORDER BY. What is emitted is the incoming row, followed by one result
/// for each function.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Over {
    /// The places of the PARTITION BY columns in the incoming row.
    pub keys: Vec<usize>,
    /// The ORDER BY column; without one rows stand in order of arrival.
    pub order: Option<Order>,
    /// The frames that functions refer to.
    pub frames: Vec<Frame>,
    /// The functions.
    pub functions: Vec<Function>,
    /// How many rows of one key may be kept (`frameRowsMax`).
    pub rows_max: usize,
    /// Keys without a record for so long are forgotten (`stateTtl`).
    pub ttl: Option<Micros>,
    /// Panes of this width are kept instead of rows (`frameStep`). All frames are RANGE frames over a time that end at the
    /// current row, all functions such that panes add up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Micros>,
}

/// The column that rows are ordered by, ascending, NULL first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Its place in the incoming row.
    pub place: usize,
    /// A time, a date, or a number; of DECIMAL up to 18 digits.
    #[serde(with = "types_as_json")]
    pub data_type: DataType,
    /// Whether it is the event time, so that the watermark says what may be forgotten.
    pub event_time: bool,
}

/// Which rows a function sees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Frame {
    /// All that have arrived before, and the record itself where `current`.
    Unbounded {
        /// Whether it ends at the current row, not at the one before it.
        current: bool,
    },
    /// Those whose order value is at least `from` and at most `to` below the record's; `to` is not negative.
    Range {
        /// The far edge.
        from: Distance,
        /// The near edge.
        to: Distance,
    },
    /// From `from` to `to` rows before the record; 0 is the record itself.
    Rows {
        /// The far edge.
        from: u64,
        /// The near edge; at most `from`.
        to: u64,
    },
}

/// A distance between two values of the ORDER BY column.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Distance {
    /// Microseconds of times, days of dates, the unscaled number of decimals, integers as they are.
    Whole(i64),
    /// Between FLOATs and DOUBLEs.
    Real(f64),
}

/// One function with its frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Function {
    /// What its state is known by from run to run: its canonical expression.
    pub identity: String,
    /// Which.
    pub kind: Kind,
    /// Its argument; None for `count(*)` and `row_number()`.
    pub argument: Option<Argument>,
    /// The place of its frame in [`Over::frames`].
    pub frame: usize,
    /// The type of its result.
    #[serde(with = "types_as_json")]
    pub result: DataType,
    /// Whether overflow is an error (ANSI), or wraps or is NULL.
    pub ansi: bool,
}

/// A column that a function is computed over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Argument {
    /// What its values are known by from run to run: the canonical expression of the argument.
    pub identity: String,
    /// Its place in the incoming row.
    pub place: usize,
    /// Its type.
    #[serde(with = "types_as_json")]
    pub data_type: DataType,
}

/// The functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// `count(*)`.
    CountRows,
    /// `count(x)`.
    Count,
    /// `count(DISTINCT x)`.
    CountDistinct,
    /// `sum(x)`.
    Sum,
    /// `avg(x)`.
    Avg,
    /// `min(x)`.
    Min,
    /// `max(x)`.
    Max,
    /// `stddev`, `variance` and their `_pop` forms.
    Deviation {
        /// Divided by n - 1, not by n.
        sample: bool,
        /// The square root.
        root: bool,
    },
    /// `first_value(x)`.
    First {
        /// Of the values that are not NULL.
        ignore_nulls: bool,
    },
    /// `last_value(x)`.
    Last {
        /// Of the values that are not NULL.
        ignore_nulls: bool,
    },
    /// `lag(x, offset, default)`; the frame says nothing, give any.
    Lag {
        /// How many rows before; not 0.
        offset: u64,
        /// The place of the default in the incoming row.
        default: Option<usize>,
    },
    /// `row_number()`.
    RowNumber,
    /// `decayed_count(half_life)`, or `decayed_sum(x, half_life)` where `sum`; x is a DOUBLE, the frame from UNBOUNDED PRECEDING,
    /// the order a time.
    Decayed {
        /// What a row adds is half after so long.
        half_life: Micros,
        /// Values are added, not ones.
        sum: bool,
    },
    /// `collect_list(x)`, or `collect_set(x)` where `distinct`.
    Collect {
        /// Each value once.
        distinct: bool,
    },
}
