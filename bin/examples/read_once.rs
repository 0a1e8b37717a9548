//! Reads an output with coordinates and passes each row on once, however often restarts have written it.
//!
//!     cargo run --example read_once -- HOST:PORT TOPIC

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// Rows of one input partition that are remembered: more than a restart repeats.
const REMEMBERED: usize = 100_000;

/// The latest rows that were seen, by input partition.
#[derive(Default)]
pub(crate) struct Once {
    seen: HashMap<String, BTreeSet<(i64, u32)>>,
}

impl Once {
    /// Whether the row with this `thalweg-origin` comes for the first time. A row that no single record has made (a window
    /// that closed) has no coordinate: it counts as new.
    pub(crate) fn is_new(&mut self, origin: &str) -> bool {
        // v1;job;query;topic;partition;offset;index: all up to the offset names the input partition.
        let mut parts = origin.rsplitn(3, ';');
        let index = parts.next().and_then(|index| index.parse().ok());
        let offset = parts.next().and_then(|offset| offset.parse().ok());
        let (Some(index), Some(offset), Some(way)) = (index, offset, parts.next()) else {
            return true;
        };
        let seen = self.seen.entry(way.to_owned()).or_default();
        let row: (i64, u32) = (offset, index);
        // The rows of a partition come in order, so one before all that are remembered is a repetition.
        if seen.len() >= REMEMBERED && seen.first().is_some_and(|first| row < *first) {
            return false;
        }
        let new = seen.insert(row);
        if seen.len() > REMEMBERED {
            seen.pop_first();
        }
        new
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(brokers), Some(topic)) = (words.next(), words.next()) else {
        return Err("give HOST:PORT and a topic".into());
    };
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "read-once")
        .create()?;
    let known = consumer.fetch_metadata(Some(&topic), Duration::from_secs(10))?;
    let mut list = TopicPartitionList::new();
    for partition in known.topics().iter().flat_map(|topic| topic.partitions()) {
        list.add_partition_offset(&topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let mut once = Once::default();
    for message in &consumer {
        let message = message?;
        let headers = message.headers().into_iter().flat_map(|all| all.iter());
        // The last of a name counts.
        let origin = headers.filter(|header| header.key == "thalweg-origin");
        let origin = origin.last().and_then(|header| header.value);
        if once.is_new(&String::from_utf8_lossy(origin.unwrap_or_default())) {
            let value = message.payload().unwrap_or_default();
            println!("{}", String::from_utf8_lossy(value));
        }
    }
    Ok(())
}
