//! Formats: bytes to typed columns and back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::source::Health;

pub mod csv;
pub(crate) mod encoding;
#[cfg(test)]
pub(crate) mod goldens;
pub mod json;
pub mod key;
pub mod text;
pub mod times;

/// What a decoder made of a record's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// The wanted columns were appended to the row.
    Row,
    /// Malformed, and the mode is DROPMALFORMED: the record is skipped and counted. The row is as it was.
    Dropped,
}

/// What a value that does not fit its column becomes: Spark's `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// An error of the record.
    FailFast,
    /// NULL; bytes that are not of the format at all give NULL in every column.
    Permissive,
    /// The record is skipped and counted.
    DropMalformed,
}

impl Mode {
    /// What the word of the option `mode` says.
    pub fn of_word(word: &str) -> Self {
        if word.eq_ignore_ascii_case("PERMISSIVE") {
            Self::Permissive
        } else if word.eq_ignore_ascii_case("DROPMALFORMED") {
            Self::DropMalformed
        } else {
            Self::FailFast
        }
    }
}

/// Decodes the columns that the plan uses, and only checks the syntax of the others.
pub trait Decoder: Send {
    /// Appends one value for each wanted column to `row`.
    ///
    /// # Errors
    /// As the mode says. `row` may then hold a part of the columns.
    fn decode(&mut self, bytes: &[u8], row: &mut Row) -> Result<Decoded, RecordError>;

    /// Whether the bytes cannot be decoded before something is known that was asked for. The waker is woken when it is.
    fn undecided(&mut self, bytes: &[u8], waker: &Waker) -> bool {
        let _ = (bytes, waker);
        false
    }

    /// How often a wanted column was found absent from a thousand records in a row.
    fn absences(&self) -> u64 {
        0
    }
}

/// Warns once of what is strange about the records of a table.
fn tell_once(table: &str, told: &AtomicBool, strange: &str) {
    if !told.swap(true, Ordering::Relaxed) {
        tracing::warn!(table, "table `{table}`: {strange}");
    }
}

/// What the decoders of a source ask, beside the source's own system.
pub trait Adviser: Send + Sync {
    /// Whether it answers.
    fn health(&self) -> Health;

    /// Why records that wait for it wait in vain, so that the run must end.
    fn failure(&self) -> Option<Failure> {
        None
    }

    /// Asks nothing more. Blocks until a question that is under way has ended.
    fn close(&self);
}

/// Encodes rows of one schema.
pub trait Encoder: Send {
    /// Appends the encoded row to `out`.
    ///
    /// # Errors
    /// When a value cannot be encoded. `out` may then hold a part of it.
    fn encode(&mut self, row: &[Value], out: &mut Vec<u8>) -> Result<(), RecordError>;

    /// Whether a row of which nothing is written has no line in a file either.
    fn leaves_out_nothing(&self) -> bool {
        false
    }
}
