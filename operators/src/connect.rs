//! Asks the systems behind tables whether a query could run: what `check --connect` shows.

use thalweg_engine::error::Failure;

use crate::exchange;
use crate::files::{self, FORMATS};
use crate::formats;
use crate::kafka::check_connect;
#[cfg(feature = "object-store")]
use crate::sinks::folder;
use crate::sinks::http;
use crate::table::{OpenContext, Table};

/// What the system behind a table says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// What is there, a line each.
    pub found: Vec<String>,
    /// What would hinder a query, a line each.
    pub missing: Vec<String>,
}

/// Asks the system behind a table that is read (`as_input`) or written; None where there is nobody to ask. Blocks for
/// at most about ten seconds.
///
/// # Errors
/// When it does not answer, or has not what the table names.
pub fn ask(table: &Table, as_input: bool, context: &OpenContext) -> Result<Option<Reach>, Failure> {
    match table.connector.as_str() {
        "kafka" => kafka(table, as_input, context).map(Some),
        #[cfg(feature = "kinesis")]
        "kinesis" => kinesis(table).map(Some),
        // A server is not asked: it would have to take rows.
        "http" => http::reach(table).map(|()| None),
        name if FORMATS.iter().any(|format| format.name == name) && as_input => {
            files::reach(table).map(Some)
        }
        #[cfg(feature = "object-store")]
        name if FORMATS.iter().any(|format| format.name == name) => folder::reach(table),
        _ => Ok(None),
    }
}

#[cfg(feature = "kinesis")]
fn kinesis(table: &Table) -> Result<Reach, Failure> {
    let report = crate::kinesis::check_connect(table)?;
    let noun = if report.open == 1 { "shard" } else { "shards" };
    let closed = match report.closed {
        0 => String::new(),
        closed => format!(", {closed} that end"),
    };
    Ok(Reach {
        found: vec![format!(
            "stream {} at {}: {} {noun}{closed}, records are kept for {} hours",
            report.stream, report.place, report.open, report.retention_hours
        )],
        missing: report.missing.into_iter().collect(),
    })
}

fn kafka(table: &Table, as_input: bool, context: &OpenContext) -> Result<Reach, Failure> {
    let report = check_connect(table, as_input, context)?;
    let mut reach = Reach::default();
    reach.found.extend(formats::ask_registry(table)?);
    if report.topics.is_empty() {
        let which = if as_input {
            "no topic fits the pattern yet"
        } else {
            "the rows name their topics"
        };
        reach
            .found
            .push(format!("{} answers; {which}", report.servers));
    }
    if let Some(group) = report.forbidden_group {
        reach.missing.push(format!(
            "this user lacks the right to READ on the group {group}"
        ));
    }
    for topic in report.topics {
        let noun = if topic.partitions == 1 {
            "partition"
        } else {
            "partitions"
        };
        let name = &topic.topic;
        reach.found.push(format!(
            "topic {name} at {}: {} {noun}",
            report.servers, topic.partitions
        ));
        if !topic.missing.is_empty() {
            reach.missing.push(format!(
                "this user lacks the right to {} on topic {name}",
                topic.missing.join(" and ")
            ));
        }
    }
    Ok(reach)
}

/// Asks the broker of a table whether a query could send the table's rows through this topic. Makes nothing. Blocks as [`ask`].
///
/// # Errors
/// When it does not answer, or the topic is not as it must be.
pub fn ask_exchange(table: &Table, topic: &str) -> Result<Reach, Failure> {
    exchange::topic::ask(table, topic)
}
