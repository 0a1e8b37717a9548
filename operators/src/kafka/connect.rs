//! `check --connect`: asks the broker for topics, partitions and the rights that a table needs.

use thalweg_engine::error::Failure;

use super::codes::Code;
use super::options::{Connection, SourceSettings};
use super::questions::Right;
use super::scout::Scout;
use super::witness::group_id;
use crate::coordinates::Coordinates;
use crate::table::{OpenContext, Table};

/// What a broker says of one topic of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicReport {
    /// The topic.
    pub topic: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// The rights that the table needs and that are missing, in Kafka's words.
    pub missing: Vec<&'static str>,
}

/// What a broker says of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectReport {
    /// The bootstrap servers.
    pub servers: String,
    /// Its topics; empty where only the rows say which.
    pub topics: Vec<TopicReport>,
    /// The consumer group of an input, where this user may not use it.
    pub forbidden_group: Option<String>,
}

/// Asks a broker whether the table can be read (`as_input`) or written.
///
/// # Errors
/// When no broker answers within 10 seconds, a topic is missing, or a right.
pub fn check_connect(
    table: &Table,
    as_input: bool,
    context: &OpenContext,
) -> Result<ConnectReport, Failure> {
    let refuse = |error: crate::job_error::JobError| Failure::refuse(error.message);
    let connection = Connection::of(table).map_err(refuse)?;
    let mut names = Vec::new();
    let mut pattern = None;
    let mut group = "thalweg".to_owned();
    if as_input {
        let settings = SourceSettings::of(table).map_err(refuse)?;
        group = group_id(
            settings.group.as_deref(),
            settings.group_prefix.as_deref(),
            context,
        );
        match settings.subscription.named() {
            Some(named) => names.extend(named.into_iter().map(str::to_owned)),
            None => pattern = Some(settings.subscription),
        }
    } else {
        names.extend(
            table
                .options
                .get("topic")
                .map(|topic| topic.trim().to_owned()),
        );
    }
    let scout = Scout::connect(&connection, &group)?;
    if let Some(pattern) = pattern {
        names.extend(
            scout
                .all_topics()?
                .into_iter()
                .filter(|topic| pattern.covers(&topic.name))
                .map(|topic| topic.name),
        );
    }
    let needed = match (as_input, context.coordinates) {
        (true, _) => INPUT,
        (false, Coordinates::Skipping) => READ_AGAIN,
        (false, _) => OUTPUT,
    };
    let mut topics = Vec::new();
    for name in &names {
        let topic = scout.existing_topic(name)?;
        topics.push(TopicReport {
            topic: topic.name,
            partitions: topic.partitions,
            missing: missing_rights(&scout, name, needed)?,
        });
    }
    let uses_group = as_input && !context.temporary;
    Ok(ConnectReport {
        forbidden_group: (uses_group && scout.is_forbidden(&group)).then_some(group),
        servers: connection.servers,
        topics,
    })
}

type Needed = &'static [(Right, &'static str)];

const INPUT: Needed = &[(Right::Describe, "DESCRIBE"), (Right::Read, "READ")];

/// Without DESCRIBE_CONFIGS an output is written too: it only does not know the largest record that its topic takes.
const OUTPUT: Needed = &[(Right::Describe, "DESCRIBE"), (Right::Write, "WRITE")];

/// What an output needs whose end is read at a start.
const READ_AGAIN: Needed = &[
    (Right::Describe, "DESCRIBE"),
    (Right::Write, "WRITE"),
    (Right::Read, "READ"),
];

/// What a query needs on its exchange topic.
pub(crate) const EXCHANGE: Needed = &[
    (Right::Describe, "DESCRIBE"),
    (Right::Read, "READ"),
    (Right::Write, "WRITE"),
    (Right::DescribeConfigs, "DESCRIBE_CONFIGS"),
    (Right::Delete, "DELETE"),
];

/// The rights of these that one has not on a topic that is there.
pub(crate) fn missing_rights(
    scout: &Scout,
    topic: &str,
    needed: Needed,
) -> Result<Vec<&'static str>, Failure> {
    let told = scout.describe(&[topic])?;
    let Some(description) = told.get(topic) else {
        return Ok(Vec::new());
    };
    if description.error == Code::TOPIC_AUTHORIZATION_FAILED {
        return Ok(vec!["DESCRIBE"]);
    }
    // A broker without rights to check names none or all.
    if description.rights.is_empty() {
        return Ok(Vec::new());
    }
    Ok(needed
        .iter()
        .filter(|(right, _)| !description.rights.contains(right))
        .map(|(_, name)| *name)
        .collect())
}
