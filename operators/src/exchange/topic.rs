//! The exchange topic itself: made where there is none, checked where there is one.

use thalweg_engine::error::Failure;

use crate::kafka::{Connection, Scout, SourceSettings};
use crate::table::Table;

/// The settings that an exchange topic must have: nothing may expire before it was read.
const SETTINGS: [(&str, &str); 3] = [
    ("cleanup.policy", "delete"),
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
];

/// Makes the topic, with as many partitions as the widest topic of the input, or checks the one that is there. Gives the
/// number of its partitions. A topic that was made beforehand may have any number.
///
/// # Errors
/// `Restart` when no broker answers; `Refuse` where it cannot be made or its settings are wrong.
pub(super) fn ready(input: &Table, topic: &str) -> Result<usize, Failure> {
    let refuse = |error: crate::job_error::JobError| Failure::refuse(error.message);
    let settings = SourceSettings::of(input).map_err(refuse)?;
    let connection = Connection::of(input).map_err(refuse)?;
    let scout = Scout::connect(&connection, "thalweg")?;
    if !scout.knows(topic)? {
        let partitions = widest(&scout, &settings)?;
        make(&scout, topic, partitions)?;
        tracing::info!(target: "kafka", topic, partitions, "the exchange topic is made");
    }
    let found = scout.existing_topic(topic)?;
    check(&scout, topic)?;
    Ok(usize::try_from(found.partitions).unwrap_or(1))
}

/// The partitions of the widest topic that is read.
fn widest(scout: &Scout, settings: &SourceSettings) -> Result<i32, Failure> {
    let subscription = &settings.subscription;
    let topics = match subscription.named() {
        Some(names) => names
            .into_iter()
            .map(|name| scout.existing_topic(name))
            .collect::<Result<Vec<_>, _>>()?,
        None => scout.all_topics()?,
    };
    let widths = topics
        .iter()
        .filter(|topic| subscription.covers(&topic.name))
        .map(|topic| topic.partitions);
    Ok(widths.max().unwrap_or(1).max(1))
}

fn make(scout: &Scout, topic: &str, partitions: i32) -> Result<(), Failure> {
    scout
        .make_topic(topic, partitions, &SETTINGS)
        .map_err(|reason| {
            Failure::refuse(format!(
                "the exchange topic `{topic}` cannot be made: {reason}. Grant this user CREATE on it, or make it: {partitions} \
                 partitions, {}",
                wanted()
            ))
        })
}

fn wanted() -> String {
    SETTINGS
        .map(|(name, value)| format!("{name}={value}"))
        .join(", ")
}

/// Whether records stay until they are deleted.
fn check(scout: &Scout, topic: &str) -> Result<(), Failure> {
    for (name, wanted) in SETTINGS {
        match scout.topic_property(topic, name)? {
            None => {
                tracing::warn!(target: "kafka", "the broker does not tell {name} of the exchange topic `{topic}` (it needs the right DESCRIBE_CONFIGS): it must be {wanted}, or records are lost");
            }
            Some(value) if value == wanted => {}
            Some(value) => {
                return Err(Failure::refuse(format!(
                    "the exchange topic `{topic}` has {name}={value}, and records could go before they are read. Set it: \
                     kafka-configs --alter --entity-type topics --entity-name {topic} --add-config {name}={wanted}"
                )));
            }
        }
    }
    Ok(())
}
