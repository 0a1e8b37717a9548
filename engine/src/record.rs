//! Records: a row with its place and time. One that cannot be decoded still has a place.

use std::ffi::CStr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
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
#[derive(Clone, Debug)]
pub enum Position {
    /// A number, such as a Kafka offset.
    Number(i64),
    /// A token that only the source understands.
    Token(Arc<str>),
    /// The token `row:file`, which is put together only where it is looked at: each record has another one.
    Row(u64, Arc<str>),
}

impl Position {
    /// The position behind a record's own where positions count records; None for tokens.
    pub fn next_number(&self) -> Option<Self> {
        match self {
            Self::Number(number) => Some(Self::Number(number.saturating_add(1))),
            Self::Token(_) | Self::Row(..) => None,
        }
    }

    /// Whether this is after `other`, where positions count records.
    pub fn is_after(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Number(at), Self::Number(other)) if at > other)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Token(token) => f.write_str(token),
            Self::Row(row, file) => write!(f, "{row}:{file}"),
        }
    }
}

impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::Token(a), Self::Token(b)) => a == b,
            (Self::Row(a, file), Self::Row(b, other)) => a == b && file == other,
            (Self::Row(..), Self::Token(token)) => self.to_string() == **token,
            (Self::Token(_), Self::Row(..)) => other == self,
            (Self::Number(_), _) | (_, Self::Number(_)) => false,
        }
    }
}

impl Eq for Position {}

impl Hash for Position {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Number(number) => number.hash(state),
            Self::Token(token) => token.hash(state),
            Self::Row(..) => self.to_string().hash(state),
        }
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Token(token) => serializer.serialize_str(token),
            Self::Row(..) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(i64),
            Token(Arc<str>),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Number(number) => Self::Number(number),
            Written::Token(token) => Self::Token(token),
        })
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
    /// The last header of this name, where records have headers.
    fn header(&self, name: &CStr) -> Option<&[u8]> {
        let _ = name;
        None
    }
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
    pub raw: Option<Original>,
}

/// The original of a record, in whatever its source has it.
pub enum Original {
    /// By itself.
    Own(Box<dyn Raw>),
    /// A stretch of bytes that the records around it share: a value without key and headers.
    Part {
        /// The bytes of all.
        of: Arc<Vec<u8>>,
        /// Where the record's begin.
        from: u32,
        /// Where they end.
        to: u32,
    },
}

impl Original {
    /// An original by itself.
    pub fn own(raw: impl Raw + 'static) -> Self {
        Self::Own(Box::new(raw))
    }

    /// The key's bytes.
    pub fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Own(raw) => raw.key(),
            Self::Part { .. } => None,
        }
    }

    /// The value's bytes.
    pub fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Own(raw) => raw.value(),
            Self::Part { of, from, to } => of.get(*from as usize..*to as usize),
        }
    }

    /// The headers, in order.
    pub fn headers(&self) -> Vec<(SmolStr, Option<Vec<u8>>)> {
        match self {
            Self::Own(raw) => raw.headers(),
            Self::Part { .. } => Vec::new(),
        }
    }

    /// The last header of this name.
    #[inline]
    pub fn header(&self, name: &CStr) -> Option<&[u8]> {
        match self {
            Self::Own(raw) => raw.header(name),
            Self::Part { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_a_file_is_the_token_that_says_so() {
        let row = Position::Row(17, "in/a.json".into());
        let token = Position::Token("17:in/a.json".into());
        let hash = |position: &Position| {
            let mut hasher = std::hash::DefaultHasher::new();
            position.hash(&mut hasher);
            hasher.finish()
        };
        assert_eq!(row, token);
        assert_eq!(token, row);
        assert_eq!(hash(&row), hash(&token));
        assert_ne!(row, Position::Row(18, "in/a.json".into()));
        assert_ne!(row, Position::Number(17));
        let written = serde_json::to_string(&row).unwrap();
        assert_eq!(written, "\"17:in/a.json\"");
        assert_eq!(serde_json::from_str::<Position>(&written).unwrap(), row);
        let number: Position = serde_json::from_str("17").unwrap();
        assert_eq!(number, Position::Number(17));
    }
}
