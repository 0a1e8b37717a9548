//! A re-key through a topic: the first half of a query writes the rows of each input to a topic by key, the second half reads
//! them. The topics of several inputs have equally many partitions, and one lane reads those of one number.
//!
//! ```text
//!   input/0 ─ steps ─ writer ─┐                 ┌─ topic/0 ─ arrival ─ steps with state ─ output
//!   input/1 ─ steps ─ writer ─┴─► the topic ────┴─ topic/1 ─ arrival ─ steps with state ─ output
//! ```
//!
//! A *way* leads from one partition of the input to one of the topic. What goes over it has a coordinate, and names the
//! coordinate before it: so what is written again after a crash is known and dropped, and what is lost is noticed. No
//! transaction is needed, and nothing waits.

pub(crate) mod arrival;
#[cfg(test)]
mod arrival_stories;
pub(crate) mod coordinate;
mod parcel;
mod source;
pub(crate) mod topic;
mod writer;

use std::sync::{Arc, OnceLock};

use smol_str::{SmolStr, format_smolstr};
use thalweg_engine::error::Failure;
use thalweg_engine::schema::DataType;
use thalweg_engine::sink::Sink;
use thalweg_engine::source::Source;

use crate::job_error::JobError;
use crate::kafka::{Connection, trial};
use crate::table::{OpenContext, Table};

/// What both halves of one exchange share.
pub(crate) struct Exchange {
    /// The name of the topic.
    pub(crate) topic: String,
    /// The name of the table that is read before it.
    pub(crate) input: SmolStr,
    /// How many partitions the topic has.
    pub(crate) partitions: usize,
    /// Whether this run has made it.
    pub(crate) made: bool,
    /// The types of the columns that go through it.
    pub(crate) types: Vec<DataType>,
    /// The places of the key's columns.
    pub(crate) keys: Vec<usize>,
    /// The job and the query, as they stand in headers.
    pub(crate) names: String,
    /// Tells the records of this query from those of an earlier one of the same name: made at the first start, and kept
    /// in the checkpoint.
    pub(crate) id: OnceLock<SmolStr>,
}

/// Looks whether an exchange topic can be written with what the table says of the client.
///
/// # Errors
/// As [`trial::writes`].
pub(crate) fn check(input: &Table) -> Result<(), JobError> {
    trial::writes(input, &Connection::of(input)?)
}

/// The topic of a query; `part` tells those of several inputs apart.
pub(crate) fn topic_name(job: &str, query: &str, part: Option<&str>) -> String {
    let plain = |name: &str| -> String {
        name.chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
                    c
                } else {
                    '_'
                }
            })
            .collect()
    };
    let part = part.map_or_else(String::new, |part| format!("-{}", plain(part)));
    format!("{}-{}{part}-exchange", plain(job), plain(query))
}

/// Both ends of an exchange: how it is read, how it is written.
pub(crate) type Ends = (Arc<dyn Source>, Arc<dyn Sink>);

/// An input whose rows change partition.
pub(crate) struct Input<'t> {
    /// Its table.
    pub(crate) table: &'t Table,
    /// The topic that they go through.
    pub(crate) topic: String,
    /// The types of their columns.
    pub(crate) types: Vec<DataType>,
    /// The places of the key's columns.
    pub(crate) keys: Vec<usize>,
}

/// Opens both ends of all exchanges of a query for one run: makes the topics where there are none, checks their settings where
/// there are some. Asks the broker of each input.
///
/// # Errors
/// `Restart` when no broker answers; `Refuse` where a topic's settings are wrong or it cannot be made.
pub(crate) fn open(inputs: Vec<Input<'_>>, context: &OpenContext) -> Result<Vec<Ends>, Failure> {
    let topics: Vec<(&Table, &str)> = inputs
        .iter()
        .map(|input| (input.table, input.topic.as_str()))
        .collect();
    let (partitions, made) = topic::ready(&topics)?;
    let made: Vec<String> = made.into_iter().map(str::to_owned).collect();
    let mut opened: Vec<Ends> = Vec::new();
    for input in inputs {
        let topic = (partitions, made.contains(&input.topic));
        match both_ends(input, topic, context) {
            Ok(ends) => opened.push(ends),
            Err(failure) => {
                for (source, sink) in opened {
                    source.close();
                    sink.close();
                }
                return Err(failure);
            }
        }
    }
    Ok(opened)
}

fn both_ends(
    input: Input<'_>,
    (partitions, made): (usize, bool),
    context: &OpenContext,
) -> Result<Ends, Failure> {
    let exchange = Arc::new(Exchange {
        partitions,
        made,
        topic: input.topic,
        input: SmolStr::new(&input.table.name),
        types: input.types,
        keys: input.keys,
        names: format!("{};{}", context.job, context.query),
        id: OnceLock::new(),
    });
    let source = source::open(input.table, &exchange, context)?;
    let sink = writer::open(input.table, &exchange, context)?;
    Ok((source, sink))
}

/// The name of a way's beginning: a partition of the input.
pub(crate) fn partition_name(topic: &str, partition: &str) -> SmolStr {
    format_smolstr!("{topic}/{partition}")
}
