//! Joins: two streams bounded in time, or a stream with a table.
//!
//! | step | keeps | answers |
//! | --- | --- | --- |
//! | [`StreamJoin`] | the rows of both sides, as long as a row of the other side may still come for them | when the second row of a pair comes; rows that nothing came for when the watermark has passed them |
//! | [`TableJoin`] | the newest row of each key of the table | each row of the stream at once, from the table as it is |
//!
//! Keys are equal as values are: NULL equals nothing. What else the condition asks is evaluated over the joined row.

mod behind;
mod contents;
mod hashing;
mod rows;
mod saved;
mod stream;
mod table;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use thalweg_engine::error::RecordError;
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::Field;

pub use self::behind::Behind;
pub(super) use self::contents::{StreamsReader, TableReader};
pub use self::stream::StreamJoin;
pub(super) use self::stream::takes_over as streams_take_over;
pub use self::table::TableJoin;
pub(super) use self::table::takes_over as table_takes_over;
use crate::expr::Eval;
use crate::stateful::bytes;
use crate::stateful::contents::types_as_json;

/// Which rows a join gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Pairs.
    Inner,
    /// Pairs, and rows of the left side alone.
    Left,
    /// Pairs, and rows of the right side alone.
    Right,
    /// Pairs, and rows of either side alone.
    Full,
    /// Each row of the left side that has a partner, once.
    LeftSemi,
    /// Each row of the left side that has none.
    LeftAnti,
}

impl Kind {
    /// As it is written.
    pub fn words(self) -> &'static str {
        match self {
            Self::Inner => "inner",
            Self::Left => "left outer",
            Self::Right => "right outer",
            Self::Full => "full outer",
            Self::LeftSemi => "left semi",
            Self::LeftAnti => "left anti",
        }
    }

    /// Whether its rows are those of the left side alone.
    pub fn left_only(self) -> bool {
        matches!(self, Self::LeftSemi | Self::LeftAnti)
    }

    /// Whether rows of this side (0 left, 1 right) come out when they have no partner.
    pub fn keeps_alone(self, side: usize) -> bool {
        match self {
            Self::Inner | Self::LeftSemi => false,
            Self::Left | Self::LeftAnti => side == 0,
            Self::Right => side == 1,
            Self::Full => true,
        }
    }
}

/// One side of a join.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Side {
    /// The columns of its rows.
    #[serde(with = "types_as_json::columns")]
    pub columns: Vec<Field>,
    /// The places of its key, in the order of the other side's.
    pub keys: Vec<usize>,
    /// How long its rows wait for the other side's; None for ever.
    pub bound: Option<Bound>,
}

/// How long a row waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The place of its event time, or of the window that holds it.
    pub time: usize,
    /// The latest time that a partner may have, less its own.
    pub reach: Micros,
}

/// The condition behind the keys, over the joined row; None where equal keys are enough.
pub type Condition = Option<Box<dyn Eval>>;

pub(crate) fn holds(
    condition: &mut Condition,
    row: &[Value],
    meta: &RecordMeta,
) -> Result<bool, RecordError> {
    match condition {
        None => Ok(true),
        Some(condition) => Ok(condition.eval(row, meta)? == Value::Boolean(true)),
    }
}

/// The key of a row as bytes; false when a part of it is NULL, so that it equals nothing.
pub(crate) fn key_of(row: &[Value], places: &[usize], out: &mut Vec<u8>) -> bool {
    out.clear();
    for place in places {
        match row.get(*place) {
            None | Some(Value::Null) => return false,
            Some(value) => bytes::encode_key(std::slice::from_ref(value), out),
        }
    }
    true
}

/// Appends the row that these bytes hold.
fn append(bytes: &[u8], columns: &[Field], row: &mut Vec<Value>) -> Result<(), RecordError> {
    let mut rest = bytes;
    for column in columns {
        let value = bytes::decode_value(&mut rest, &column.data_type).ok_or_else(|| {
            RecordError::expression(format!(
                "the state of a join holds a row whose column `{}` cannot be read: a bug",
                column.name
            ))
        })?;
        row.push(value);
    }
    Ok(())
}
