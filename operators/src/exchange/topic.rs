//! The exchange topic itself: made where there is none, checked where there is one.

use thalweg_engine::counted::counted;
use thalweg_engine::error::Failure;

use crate::connect::Reach;
use crate::kafka::{EXCHANGE, Scout, SourceSettings, missing_rights};
use crate::table::Table;

/// The settings that an exchange topic must have: nothing may expire before it was read.
const SETTINGS: [(&str, &str); 3] = [
    ("cleanup.policy", "delete"),
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
];

/// Makes the topics, with as many partitions as the widest topic of the inputs, or checks those that are there. Gives the
/// number of their partitions, and which were made. Topics that were made beforehand may have any number, all the same.
///
/// # Errors
/// `Restart` when no broker answers in time; `Refuse` where one cannot be made or its settings are wrong.
pub(super) fn ready<'t>(topics: &[(&Table, &'t str)]) -> Result<(usize, Vec<&'t str>), Failure> {
    let mut made = Vec::new();
    let mut there: Option<(&str, i32)> = None;
    let mut wanted = Vec::new();
    let mut widths = 1;
    for (input, topic) in topics {
        let (scout, settings) = asked(input)?;
        if !scout.knows(topic)? {
            widths = widths.max(widest(&scout, &settings)?);
            wanted.push((scout, *topic));
            continue;
        }
        let found = scout.existing_topic(topic)?;
        check(&scout, topic)?;
        match there {
            Some((other, partitions)) if partitions != found.partitions => {
                return Err(Failure::refuse(format!(
                    "the exchange topics `{other}` and `{topic}` have {partitions} and {}, and rows that meet must lie \
                     under one number in both. Delete them and begin anew with another queryName or checkpointLocation",
                    counted(found.partitions, "partition")
                )));
            }
            _ => there = Some((topic, found.partitions)),
        }
    }
    // Those that are there say how many; where there are none, the widest input does.
    let partitions = there.map_or(widths, |(_, partitions)| partitions);
    for (scout, topic) in wanted {
        make(&scout, topic, partitions)?;
        tracing::info!(target: "kafka", topic, partitions, "the exchange topic is made");
        made.push(topic);
        scout.existing_topic(topic)?;
        check(&scout, topic)?;
    }
    Ok((usize::try_from(partitions).unwrap_or(1), made))
}

/// What a start would find: the topic with the rights that it takes, or whether it could be made.
///
/// # Errors
/// When no broker answers, or the topic's settings are wrong.
pub(crate) fn ask(input: &Table, topic: &str) -> Result<Reach, Failure> {
    let (scout, settings) = asked(input)?;
    let servers = &settings.connection.servers;
    let mut reach = Reach::default();
    if scout.knows(topic)? {
        let found = scout.existing_topic(topic)?;
        let said = format!(
            "topic {topic} at {servers}: {}",
            counted(found.partitions, "partition")
        );
        reach.found.push(said);
        let missing = missing_rights(&scout, topic, EXCHANGE)?;
        if !missing.is_empty() {
            reach.missing.push(format!(
                "this user lacks the right to {} on topic {topic}",
                missing.join(" and ")
            ));
        }
        check(&scout, topic)?;
        return Ok(reach);
    }
    let partitions = widest(&scout, &settings)?;
    match scout.may_make_topic(topic, partitions, &SETTINGS) {
        Ok(()) => reach.found.push(format!(
            "topic {topic} at {servers}: not there yet, the first start makes it"
        )),
        Err(not) => reach
            .missing
            .push(cannot_be_made(topic, partitions, &not.reason)),
    }
    Ok(reach)
}

fn asked(input: &Table) -> Result<(Scout, SourceSettings), Failure> {
    let refuse = |error: crate::job_error::JobError| Failure::refuse(error.message);
    let settings = SourceSettings::of(input).map_err(refuse)?;
    let scout = Scout::connect(&settings.connection, "thalweg")?;
    Ok((scout, settings))
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
    let made = scout.make_topic(topic, partitions, &SETTINGS);
    made.map_err(|not| match not.unanswered {
        true => Failure::restart(format!(
            "the exchange topic `{topic}` is not made yet: {}",
            not.reason
        )),
        false => Failure::refuse(cannot_be_made(topic, partitions, &not.reason)),
    })
}

fn cannot_be_made(topic: &str, partitions: i32, reason: &str) -> String {
    format!(
        "the exchange topic `{topic}` cannot be made: {reason}. Grant this user CREATE on it, or make it: {partitions} \
         partitions, {}",
        wanted()
    )
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
