//! What lies in a step's state, for people: its keys and values as a checkpoint holds them.
//!
//! State is bytes whose types the step knows. So that it can be read without the job, its broker and its secrets, each
//! checkpoint says what the step was given: that is [`Contents`]. A [`Reader`] shows entry by entry and keeps none.

mod distinct;
mod groups;
mod processor;
pub(crate) mod types_as_json;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use thalweg_engine::error::Failure;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::stateful::accumulators;
use crate::stateful::bytes::read_varint;
use crate::stateful::grouping::Grouping;
use crate::stateful::join::{
    Kind, Side, StreamsReader, TableReader, streams_take_over, table_takes_over,
};
use crate::stateful::over::{Over, OverReader};

/// What a step with state was given, and what its keys are called.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "lowercase")]
pub enum Contents {
    /// GROUP BY.
    Groups {
        /// What it groups by; the window's place among them is that of its struct.
        keys: Vec<SmolStr>,
        /// What the operator is given.
        group: Grouping,
    },
    /// DISTINCT.
    Distinct {
        /// The columns of the key.
        #[serde(with = "types_as_json::columns")]
        keys: Vec<Field>,
    },
    /// OVER.
    Over {
        /// The columns of PARTITION BY.
        #[serde(with = "types_as_json::columns")]
        keys: Vec<Field>,
        /// What ORDER BY is called.
        order: Option<SmolStr>,
        /// What the operator is given.
        over: Over,
    },
    /// A join of two streams.
    Streams {
        /// Which rows it gives.
        kind: Kind,
        /// Left and right.
        sides: [Side; 2],
    },
    /// A join with a keyed table.
    Table {
        /// The table's side.
        table: Side,
        /// The place of the mark that a key is gone.
        deleted: usize,
    },
    /// A step that a program writes.
    Processor {
        /// The columns of the key.
        #[serde(with = "types_as_json::columns")]
        keys: Vec<Field>,
        /// The columns of a key's value.
        #[serde(with = "types_as_json::columns")]
        value: Vec<Field>,
    },
    /// LIMIT.
    Limit,
}

/// A kind of entry: what it is called, and the columns of its parts.
#[derive(Clone, Debug)]
pub struct Form {
    /// `group`, `row`, `total`...
    pub what: &'static str,
    /// The columns of its key.
    pub key: Vec<Field>,
    /// The columns of its value.
    pub value: Vec<Field>,
    /// What is known of it beside that.
    pub about: Vec<Field>,
}

/// One thing that lies in the state.
pub struct Shown<'a> {
    /// The place of its form in [`Reader::forms`].
    pub form: usize,
    /// As the form says.
    pub key: &'a [Value],
    /// As the form says.
    pub value: &'a [Value],
    /// As the form says.
    pub about: &'a [Value],
}

/// Takes what is shown.
pub type Show<'s> = dyn FnMut(Shown<'_>) + 's;

/// Reads a step's entries, one after the other.
pub trait Reader {
    /// The kinds of entries.
    fn forms(&self) -> &[Form];

    /// Shows an entry that was saved with this layout; None when it is not as the layout says.
    fn entry(&mut self, layout: &str, key: &[u8], value: &[u8], show: &mut Show<'_>) -> Option<()>;
}

impl Contents {
    /// Whether a step that is given this can go on from the state of one that was given that: what a comparison of keys and
    /// aggregates does not say.
    ///
    /// # Errors
    /// When it cannot, as at its restore.
    pub fn takes_over(&self, before: &Self) -> Result<(), Failure> {
        match (before, self) {
            (
                Self::Streams { kind, sides },
                Self::Streams {
                    kind: is,
                    sides: now,
                },
            ) => streams_take_over((*kind, sides), (*is, now)),
            (Self::Table { table, .. }, Self::Table { table: now, .. }) => {
                table_takes_over(table, now)
            }
            (Self::Groups { group, .. }, Self::Groups { group: now, .. }) => {
                groups::take_over(group, now)
            }
            _ => Ok(()),
        }
    }

    /// Whether this version knows all that it names.
    pub(crate) fn is_known(&self) -> bool {
        match self {
            Self::Groups { group, .. } => group
                .aggregates
                .iter()
                .all(|one| one.own.is_some() || accumulators::find(one.function).is_some()),
            _ => true,
        }
    }

    /// What reads such state.
    pub fn reader(self) -> Box<dyn Reader> {
        match self {
            Self::Groups { keys, group } => Box::new(groups::GroupsReader::new(&keys, group)),
            Self::Distinct { keys } => Box::new(distinct::DistinctReader::new(keys)),
            Self::Over { keys, order, over } => Box::new(OverReader::new(keys, order, &over)),
            Self::Streams { kind, sides } => Box::new(StreamsReader::new(kind, sides)),
            Self::Table { table, deleted } => Box::new(TableReader::new(table, deleted)),
            Self::Processor { keys, value } => {
                Box::new(processor::ProcessorReader::new(keys, value))
            }
            Self::Limit => Box::new(LimitReader([Form {
                what: "count",
                key: Vec::new(),
                value: vec![Field::required("rows", DataType::BigInt)],
                about: Vec::new(),
            }])),
        }
    }
}

/// LIMIT: how many rows have gone on.
struct LimitReader([Form; 1]);

impl Reader for LimitReader {
    fn forms(&self) -> &[Form] {
        &self.0
    }

    fn entry(&mut self, _: &str, _: &[u8], mut value: &[u8], show: &mut Show<'_>) -> Option<()> {
        let rows = read_varint(&mut value)?.cast_signed();
        show(Shown {
            form: 0,
            key: &[],
            value: &[Value::BigInt(rows)],
            about: &[],
        });
        Some(())
    }
}

/// A time in whole seconds; NULL for 0, which is none.
fn seconds(seconds: u64) -> Value {
    match i64::try_from(seconds) {
        Ok(seconds) if seconds > 0 => Value::Timestamp(seconds.saturating_mul(1_000_000)),
        _ => Value::Null,
    }
}
