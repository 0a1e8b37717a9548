//! What a command asks of a topic beside the job that reads or writes it: where a partition begins and ends, and its
//! records as they are. No consumer group is read or written.

use std::collections::BTreeMap;
use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::counted::counted;
use thalweg_engine::error::Failure;
use thalweg_engine::source::Source;

use super::options::{Connection, SourceSettings};
use super::scout::{EARLIEST, LATEST, Scout};
use super::starting::{Subscription, partition_name};
use crate::job_error::JobError;
use crate::sources::kafka;
use crate::table::{OpenContext, Table};

/// What the client calls itself where it only looks.
const GROUP: &str = "thalweg";

fn refuse(error: JobError) -> Failure {
    Failure::refuse(error.message)
}

/// Whether an input reads the topic, or a partition of it.
pub fn reads_topic(table: &Table, topic: &str) -> bool {
    SourceSettings::of(table).is_ok_and(|settings| settings.subscription.covers(topic))
}

/// Whether an input reads this partition of a topic.
pub fn reads(table: &Table, topic: &str, partition: i32) -> bool {
    let Ok(settings) = SourceSettings::of(table) else {
        return false;
    };
    match &settings.subscription {
        Subscription::Assign(places) => places
            .get(topic)
            .is_some_and(|partitions| partitions.contains(&partition)),
        subscription => subscription.covers(topic),
    }
}

/// The first offset that a partition holds, and the one that it gives out next.
///
/// # Errors
/// When no broker answers, or there is no such topic or partition.
pub fn extent(table: &Table, topic: &str, partition: i32) -> Result<(i64, i64), Failure> {
    let scout = Scout::connect(&Connection::of(table).map_err(refuse)?, GROUP)?;
    let count = scout.existing_topic(topic)?.partitions;
    if partition >= count {
        return Err(Failure::refuse(format!(
            "topic `{topic}` has {} (0 to {}), so there is no partition {partition}",
            counted(count, "partition"),
            count - 1
        )));
    }
    let place = (topic.to_owned(), partition);
    let one = |spec| -> Result<i64, Failure> {
        let asked = BTreeMap::from([(place.clone(), spec)]);
        let offsets = scout.offsets(&asked, false)?;
        Ok(offsets.get(&place).copied().unwrap_or(0))
    };
    Ok((one(EARLIEST)?, one(LATEST)?))
}

/// For each partition of a topic the first offset at or after a time in milliseconds, and its end. The end twice where
/// nothing is that new.
///
/// # Errors
/// When no broker answers, or there is no such topic.
pub fn since(
    table: &Table,
    topic: &str,
    millis: i64,
) -> Result<BTreeMap<SmolStr, (i64, i64)>, Failure> {
    let scout = Scout::connect(&Connection::of(table).map_err(refuse)?, GROUP)?;
    let count = scout.existing_topic(topic)?.partitions;
    let all = |spec: i64| -> Result<_, Failure> {
        let asked = (0..count).map(|partition| ((topic.to_owned(), partition), spec));
        scout.offsets(&asked.collect(), false)
    };
    let ends = all(LATEST)?;
    let first = all(millis.max(0))?;
    let found = ends.into_iter().map(|(place, end)| {
        let first = first.get(&place).copied().filter(|offset| *offset >= 0);
        let name = partition_name(&place.0, place.1);
        (name, (first.unwrap_or(end), end))
    });
    Ok(found.collect())
}

/// The places of the columns of [`records`]: key, value, topic, partition, offset, timestamp, its type, headers.
pub const RECORD_COLUMNS: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

/// A topic at the broker of a table, whatever the table makes of it: its records with key, value and headers as they are.
///
/// # Errors
/// As [`kafka::open`].
pub fn records(
    table: &Table,
    topic: &str,
    context: &OpenContext,
) -> Result<Arc<dyn Source>, Failure> {
    let mut plain = Table::using(table.name.clone(), "kafka")
        .option("subscribe", topic)
        .option("startingOffsets", "earliest")
        .option("includeHeaders", "true");
    for option in table.options.iter() {
        if option.name.to_ascii_lowercase().starts_with("kafka.") {
            plain = plain.option(option.name.clone(), option.value.clone());
        }
    }
    kafka::open(&plain, &RECORD_COLUMNS, None, None, None, context)
}
