//! Which partitions are read, and where a first start begins: parsing and deciding, without a broker.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use smol_str::SmolStr;
use thalweg_engine::counted::counted;
use thalweg_engine::error::Failure;
use thalweg_engine::record::Position;
use thalweg_engine::source::{Resume, Start};

use crate::job_error::nearest;

/// A topic and a partition of it.
pub(crate) type Place = (String, i32);

/// The name of a partition within its input, the same after every restart.
pub(crate) fn partition_name(topic: &str, partition: i32) -> SmolStr {
    smol_str::format_smolstr!("{topic}/{partition}")
}

/// Topic and number of a partition's name.
pub(crate) fn place_of(name: &str) -> Option<(&str, i32)> {
    let (topic, partition) = name.rsplit_once('/')?;
    Some((topic, partition.parse().ok().filter(|n| *n >= 0)?))
}

/// The topics that brokers keep for themselves.
const INTERNAL_TOPICS: [&str; 3] = [
    "__consumer_offsets",
    "__share_group_state",
    "__transaction_state",
];

/// What is read.
#[derive(Debug)]
pub(crate) enum Subscription {
    /// `assign`: these partitions, and no others.
    Assign(BTreeMap<String, Vec<i32>>),
    /// `subscribe`: all partitions of these topics.
    Topics(Vec<String>),
    /// `subscribePattern`: all topics in whose name it is found, and Kafka's own not.
    Pattern(Box<fancy_regex::Regex>),
}

impl Subscription {
    pub(crate) fn assign(text: &str) -> Result<Self, String> {
        let shape = "takes JSON such as {\"invoices\":[0,1]}";
        let json: Json = serde_json::from_str(text).map_err(|e| format!("{shape}: {e}"))?;
        let topics = json.as_object().ok_or(shape)?;
        let mut places = BTreeMap::new();
        for (topic, list) in topics {
            let list = list.as_array().ok_or(shape)?;
            let mut partitions = list
                .iter()
                .map(|n| {
                    n.as_i64()
                        .and_then(|n| i32::try_from(n).ok())
                        .filter(|n| *n >= 0)
                })
                .collect::<Option<Vec<_>>>()
                .ok_or(shape)?;
            partitions.sort_unstable();
            partitions.dedup();
            places.insert(topic.clone(), partitions);
        }
        if places.values().all(Vec::is_empty) {
            return Err("names no partition".to_owned());
        }
        Ok(Self::Assign(places))
    }

    pub(crate) fn topics(text: &str) -> Result<Self, String> {
        let mut topics: Vec<String> = text
            .split(',')
            .map(|topic| topic.trim().to_owned())
            .filter(|topic| !topic.is_empty())
            .collect();
        if topics.is_empty() {
            return Err("names no topic".to_owned());
        }
        if let Some(topic) = topics.iter().find(|topic| !legal_topic(topic)) {
            return Err(format!(
                "`{topic}` cannot be a topic: letters, digits, `.`, `_` and `-`, 249 at most"
            ));
        }
        topics.sort_unstable();
        topics.dedup();
        Ok(Self::Topics(topics))
    }

    pub(crate) fn pattern(text: &str) -> Result<Self, String> {
        fancy_regex::Regex::new(text)
            .map(|regex| Self::Pattern(Box::new(regex)))
            .map_err(|error| format!("is no regular expression: {error}"))
    }

    /// Whether the topic belongs to it.
    pub(crate) fn covers(&self, topic: &str) -> bool {
        match self {
            Self::Assign(places) => places.contains_key(topic),
            Self::Topics(topics) => topics.iter().any(|known| known == topic),
            Self::Pattern(regex) => {
                !self.leaves_out(topic) && regex.is_match(topic).unwrap_or(false)
            }
        }
    }

    /// Whether the topic is one that a pattern finds and leaves out all the same. Versions before read such topics too, so that
    /// their checkpoints have positions of them.
    pub(crate) fn leaves_out(&self, topic: &str) -> bool {
        matches!(self, Self::Pattern(_)) && INTERNAL_TOPICS.contains(&topic)
    }

    /// The topics that are named; None for a pattern.
    pub(crate) fn named(&self) -> Option<Vec<&str>> {
        match self {
            Self::Assign(places) => Some(places.keys().map(String::as_str).collect()),
            Self::Topics(topics) => Some(topics.iter().map(String::as_str).collect()),
            Self::Pattern(_) => None,
        }
    }

    /// The partitions to read of a topic that has `count`.
    ///
    /// # Errors
    /// When an assigned partition does not exist.
    pub(crate) fn partitions(&self, topic: &str, count: i32) -> Result<Vec<i32>, Failure> {
        let Self::Assign(places) = self else {
            return Ok((0..count).collect());
        };
        let wanted = places.get(topic).cloned().unwrap_or_default();
        if let Some(missing) = wanted.iter().find(|partition| **partition >= count) {
            return Err(Failure::end(format!(
                "`assign` names partition {missing} of topic `{topic}`, which has {} (0 to {})",
                counted(count, "partition"),
                count - 1
            )));
        }
        Ok(wanted)
    }
}

/// Whether Kafka allows the name.
pub(crate) fn legal_topic(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 249
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Where a first start begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Starting {
    Earliest,
    Latest,
    /// Where the consumer group stands; a partition without an entry at its earliest.
    Group,
    /// An offset for each partition; -2 earliest, -1 latest.
    Exact(BTreeMap<Place, i64>),
    /// The first record at or after this time, in milliseconds.
    Timestamp {
        /// For every partition, or for each.
        at: Times,
        /// Start at the end where no record is that new; otherwise that is an error.
        latest_if_none: bool,
    },
}

/// Times to start at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    All(i64),
    Each(BTreeMap<Place, i64>),
}

impl Starting {
    /// Reads `startingOffsets`.
    pub(crate) fn offsets(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            "group" => return Ok(Self::Group),
            _ => {}
        }
        const TAKES: &str =
            r#"takes earliest, latest, group or JSON such as {"invoices":{"0":23,"1":-2}}"#;
        if !text.trim().starts_with('{') {
            let meant = nearest(text.trim(), ["earliest", "latest", "group"]);
            return Err(meant.map_or_else(
                || TAKES.to_owned(),
                |meant| format!("{TAKES}: did you mean `{meant}`?"),
            ));
        }
        let places = by_partition(text).map_err(|reason| format!("{TAKES}: {reason}"))?;
        if let Some(((topic, partition), _)) = places.iter().find(|(_, offset)| **offset < -2) {
            return Err(format!(
                "has an offset below -2 for {topic}/{partition}: -2 is the earliest, -1 the latest"
            ));
        }
        Ok(Self::Exact(places))
    }

    /// Reads `startingTimestamp`.
    pub(crate) fn timestamp(text: &str, latest_if_none: bool) -> Result<Self, String> {
        text.trim()
            .parse()
            .ok()
            .filter(|ms| *ms >= 0)
            .map(|ms| Self::Timestamp {
                at: Times::All(ms),
                latest_if_none,
            })
            .ok_or_else(|| "takes milliseconds since 1970".to_owned())
    }

    /// Reads `startingOffsetsByTimestamp`.
    pub(crate) fn by_timestamp(text: &str, latest_if_none: bool) -> Result<Self, String> {
        let places = by_partition(text).map_err(|reason| {
            format!(
                "takes JSON such as {{\"invoices\":{{\"0\":1700000000000}}}}, milliseconds since 1970: {reason}"
            )
        })?;
        if places.values().any(|ms| *ms < 0) {
            return Err("has a time before 1970".to_owned());
        }
        Ok(Self::Timestamp {
            at: Times::Each(places),
            latest_if_none,
        })
    }

    /// The partitions that were named one by one; None where one rule holds for all.
    fn named(&self) -> Option<&BTreeMap<Place, i64>> {
        match self {
            Self::Exact(places)
            | Self::Timestamp {
                at: Times::Each(places),
                ..
            } => Some(places),
            _ => None,
        }
    }

    /// As in Spark: who names partitions names all that are read, and no others.
    pub(crate) fn check_named(&self, read: &[Place]) -> Result<(), Failure> {
        let Some(named) = self.named() else {
            return Ok(());
        };
        if let Some((topic, partition)) = read.iter().find(|place| !named.contains_key(*place)) {
            return Err(Failure::refuse(format!(
                "the starting offsets do not name {topic}/{partition}: name every partition, with -2 for the earliest or \
                 -1 for the latest offset"
            )));
        }
        if let Some((topic, partition)) = named.keys().find(|place| !read.contains(place)) {
            return Err(Failure::refuse(format!(
                "the starting offsets name {topic}/{partition}, which is not read or does not exist"
            )));
        }
        Ok(())
    }
}

fn by_partition(text: &str) -> Result<BTreeMap<Place, i64>, String> {
    let json: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let topics = json.as_object().ok_or("not an object of topics")?;
    let mut places = BTreeMap::new();
    for (topic, partitions) in topics {
        let partitions = partitions
            .as_object()
            .ok_or_else(|| format!("`{topic}` has no object of partitions"))?;
        for (partition, number) in partitions {
            let number = number
                .as_i64()
                .or_else(|| number.as_str().and_then(|text| text.trim().parse().ok()))
                .ok_or_else(|| format!("{topic}/{partition} has no whole number"))?;
            let partition = partition
                .parse()
                .ok()
                .filter(|n| *n >= 0)
                .ok_or_else(|| format!("`{partition}` is no partition of `{topic}`"))?;
            places.insert((topic.clone(), partition), number);
        }
    }
    Ok(places)
}

/// What a partition holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The first offset that is kept.
    pub(crate) earliest: i64,
    /// The offset after the last record (the high watermark).
    pub(crate) latest: i64,
}

/// Decides the start of each partition of a run that has a checkpoint. A partition that the checkpoint does not name is
/// new and starts at its earliest.
///
/// # Errors
/// When positions lie outside what the topic holds and `fail_on_data_loss` is set, or a partition is gone.
pub(crate) fn resumed(
    read: &BTreeMap<Place, Ends>,
    resume: &Resume<'_>,
    fail_on_data_loss: bool,
) -> Result<Vec<Start>, Failure> {
    let mut lost = Vec::new();
    let mut starts = Vec::new();
    for ((topic, partition), ends) in read {
        let name = partition_name(topic, *partition);
        let offset = match resume.positions.get(&name) {
            None => ends.earliest,
            Some(Position::Number(wanted)) => match loss(&name, *wanted, *ends) {
                None => *wanted,
                Some((sentence, instead)) => {
                    lost.push(sentence);
                    instead
                }
            },
            Some(Position::Token(_) | Position::Row(..)) => {
                return Err(Failure::refuse(format!(
                    "the checkpoint's position of {name} is not a Kafka offset"
                )));
            }
        };
        starts.push(start(name, offset));
    }
    for name in resume.positions.keys() {
        let gone = place_of(name)
            .is_some_and(|(topic, partition)| !read.contains_key(&(topic.to_owned(), partition)));
        if gone {
            lost.push(format!(
                "{name} is in the checkpoint but is not read any more or does not exist"
            ));
        }
    }
    if !lost.is_empty() {
        if fail_on_data_loss {
            return Err(Failure::refuse(format!(
                "records are lost: {}. Set failOnDataLoss to false to go on with what is there",
                lost.join("; ")
            )));
        }
        for sentence in lost {
            tracing::warn!(target: "kafka", "records are lost, going on because failOnDataLoss is false: {sentence}");
        }
    }
    Ok(starts)
}

/// So many records, with the verb.
fn gone(records: i64) -> String {
    let verb = if records == 1 { "is" } else { "are" };
    format!("{} {verb}", counted(records, "record"))
}

/// What is lost when a partition is to be read from `wanted`, in words, and where to go on instead.
pub(crate) fn loss(name: &str, wanted: i64, ends: Ends) -> Option<(String, i64)> {
    if wanted < ends.earliest {
        Some((
            format!(
                "{name}: wanted offset {wanted}, the earliest kept is {}, {} gone (retention removed them)",
                ends.earliest,
                gone(ends.earliest - wanted)
            ),
            ends.earliest,
        ))
    } else if wanted > ends.latest {
        Some((
            format!(
                "{name}: wanted offset {wanted}, but the topic ends at {} (earliest {}): {} gone (perhaps the \
                 topic was deleted and made again)",
                ends.latest,
                ends.earliest,
                gone(wanted - ends.latest)
            ),
            ends.earliest,
        ))
    } else {
        None
    }
}

/// The times of starts: for each the newest, up to `now` in milliseconds, at which the first record is not behind it. `ask`
/// gives the first offsets at or after times, -1 where no record is that new.
///
/// # Errors
/// As `ask`.
pub(crate) fn times_of(
    starts: &BTreeMap<Place, i64>,
    now: i64,
    mut ask: impl FnMut(&BTreeMap<Place, i64>) -> Result<BTreeMap<Place, i64>, Failure>,
) -> Result<BTreeMap<Place, i64>, Failure> {
    let mut within: BTreeMap<Place, (i64, i64)> = starts
        .keys()
        .map(|place| (place.clone(), (0, now.max(0))))
        .collect();
    loop {
        let asked: BTreeMap<Place, i64> = within
            .iter()
            .filter(|(_, (low, high))| low < high)
            .map(|(place, (low, high))| (place.clone(), low + (high - low + 1) / 2))
            .collect();
        if asked.is_empty() {
            break;
        }
        let found = ask(&asked)?;
        for (place, time) in asked {
            let Some((low, high)) = within.get_mut(&place) else {
                continue;
            };
            let first = found.get(&place).copied().unwrap_or(-1);
            if first >= 0 && first <= starts[&place] {
                *low = time;
            } else {
                *high = time - 1;
            }
        }
    }
    Ok(within
        .into_iter()
        .map(|(place, (time, _))| (place, time))
        .collect())
}

/// A start at an offset.
pub(crate) fn start(partition: SmolStr, offset: i64) -> Start {
    Start {
        partition,
        position: Position::Number(offset),
        after: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resume(positions: &BTreeMap<SmolStr, Position>) -> Resume<'_> {
        Resume {
            checkpoint: "c",
            epoch: 3,
            rewound: false,
            positions,
            state: None,
        }
    }

    fn one(earliest: i64, latest: i64) -> BTreeMap<Place, Ends> {
        BTreeMap::from([(("t".to_owned(), 0), Ends { earliest, latest })])
    }

    fn at(name: &str, offset: i64) -> BTreeMap<SmolStr, Position> {
        BTreeMap::from([(SmolStr::new(name), Position::Number(offset))])
    }

    #[test]
    fn a_misspelt_word_is_answered_with_the_nearest_one_and_broken_json_with_its_fault() {
        let reason = Starting::offsets("earlyest").unwrap_err();
        assert!(reason.ends_with("did you mean `earliest`?"), "{reason}");
        let reason = Starting::offsets("first").unwrap_err();
        assert!(reason.ends_with("}}"), "{reason}");
        let reason = Starting::offsets("{\"t\":").unwrap_err();
        assert!(reason.contains("EOF while parsing"), "{reason}");
    }

    #[test]
    fn a_run_goes_on_where_its_checkpoint_says() {
        let positions = at("t/0", 7);
        let starts = resumed(&one(2, 9), &resume(&positions), true).unwrap();
        assert_eq!(starts, [start("t/0".into(), 7)]);
    }

    #[test]
    fn a_partition_that_the_checkpoint_does_not_name_starts_at_its_earliest() {
        let positions = BTreeMap::new();
        let starts = resumed(&one(2, 9), &resume(&positions), true).unwrap();
        assert_eq!(starts, [start("t/0".into(), 2)]);
    }

    #[test]
    fn removed_records_are_named_with_wanted_earliest_and_how_many() {
        let positions = at("t/0", 3);
        let refused = resumed(&one(10, 20), &resume(&positions), true).unwrap_err();
        for part in ["t/0", "offset 3", "kept is 10", "7 records"] {
            assert!(refused.message.contains(part), "{}", refused.message);
        }
        let starts = resumed(&one(10, 20), &resume(&positions), false).unwrap();
        assert_eq!(starts, [start("t/0".into(), 10)]);
    }

    #[test]
    fn a_position_behind_the_end_of_a_recreated_topic_is_a_loss() {
        let positions = at("t/0", 30);
        let refused = resumed(&one(0, 20), &resume(&positions), true).unwrap_err();
        assert!(refused.message.contains("ends at 20"));
        assert!(refused.message.contains("10 records are gone"));
        let refused = resumed(&one(0, 29), &resume(&positions), true).unwrap_err();
        assert!(refused.message.contains("1 record is gone"));
        assert!(resumed(&one(0, 30), &resume(&positions), true).is_ok());
    }

    #[test]
    fn a_partition_that_is_gone_is_a_loss() {
        let positions = at("t/1", 3);
        let refused = resumed(&one(0, 20), &resume(&positions), true).unwrap_err();
        assert!(refused.message.contains("t/1"));
    }

    #[test]
    fn starting_offsets_are_words_or_numbers_for_each_partition() {
        assert_eq!(Starting::offsets("EARLIEST"), Ok(Starting::Earliest));
        assert_eq!(Starting::offsets("group"), Ok(Starting::Group));
        let exact = Starting::offsets(r#"{"t":{"0":5,"1":-2}}"#).unwrap();
        let read = [("t".to_owned(), 0), ("t".to_owned(), 1)];
        assert!(exact.check_named(&read).is_ok());
        assert!(exact.check_named(&read[..1]).is_err());
        assert!(exact.check_named(&[("u".to_owned(), 0)]).is_err());
        assert!(Starting::offsets(r#"{"t":{"0":-3}}"#).is_err());
        assert!(Starting::offsets("soon").is_err());
    }

    proptest! {
        #[test]
        fn the_time_of_a_start_is_the_newest_that_leads_to_it_or_before(
            times in prop::collection::vec(0_i64..1_000, 1..20),
            start in 0_usize..20,
            now in 0_i64..1_200,
        ) {
            let start = i64::try_from(start % times.len()).unwrap();
            let first = |time: i64| {
                let first = times.iter().position(|of| *of >= time);
                first.map_or(-1, |first| i64::try_from(first).unwrap())
            };
            let place: Place = ("t".into(), 0);
            let found = times_of(&BTreeMap::from([(place.clone(), start)]), now, |asked| {
                Ok(asked.iter().map(|(place, time)| (place.clone(), first(*time))).collect())
            });
            let expected = (0..=now)
                .filter(|time| (0..=start).contains(&first(*time)))
                .max()
                .unwrap_or(0);
            prop_assert_eq!(found.unwrap()[&place], expected);
        }
    }

    #[test]
    fn a_pattern_is_found_anywhere_in_a_name_unless_it_says_where() {
        let covers = |pattern: &str, topic: &str| {
            let subscription = Subscription::pattern(pattern).unwrap();
            subscription.covers(topic)
        };
        for topic in ["invoices", "my-invoices-2", "bills"] {
            assert!(covers("inv.*s|bills", topic), "{topic}");
        }
        assert!(!covers("inv.*s|bills", "payments"));
        assert!(covers("^invoices-.*$", "invoices-eu"));
        assert!(!covers("^invoices-.*$", "my-invoices-eu"));
        assert!(Subscription::pattern("(").is_err());
    }

    #[test]
    fn a_pattern_finds_no_topic_that_brokers_keep_for_themselves() {
        let all = Subscription::pattern(".*").unwrap();
        assert!(!all.covers("__consumer_offsets") && !all.covers("__transaction_state"));
        assert!(all.covers("__mine"));
    }

    #[test]
    fn assigned_partitions_must_exist() {
        let assign = Subscription::assign(r#"{"t":[1,0,1]}"#).unwrap();
        assert_eq!(assign.partitions("t", 2).unwrap(), [0, 1]);
        assert!(assign.partitions("t", 1).is_err());
        for bad in ["t", "[]", r#"{"t":0}"#, r#"{"t":[-1]}"#, "{}"] {
            assert!(Subscription::assign(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn partition_names_are_read_as_they_are_written() {
        assert_eq!(
            place_of(&partition_name("a.b-c_d", 12)),
            Some(("a.b-c_d", 12))
        );
        assert_eq!(place_of("x"), None);
        assert_eq!(place_of("x/-1"), None);
    }
}
