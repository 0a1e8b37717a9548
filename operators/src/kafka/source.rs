//! The input itself: resolves where partitions start, finds new ones, opens them, bears witness of what is committed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use smol_str::SmolStr;
use thalweg_engine::error::Failure;
use thalweg_engine::record::{Partition, Position};
use thalweg_engine::schema::Schema;
use thalweg_engine::source::{Committed, Health, RecordStream, Resume, Source, Start};

use super::codes::Code;
use super::consumer::{Consumer, Limits, STALL_AFTER};
use super::options::{Connection, SourceSettings};
use super::questions::TopicInfo;
use super::reader::{Reader, Shape};
use super::scout::{EARLIEST, LATEST, Scout};
use super::starting::{
    Ends, Place, Starting, Times, loss, partition_name, place_of, resumed, start,
};
use super::witness::{Witness, group_id, judge};
use crate::table::OpenContext;

pub(crate) struct KafkaSource {
    settings: SourceSettings,
    context: OpenContext,
    group: String,
    schema: Schema,
    shape: Arc<Shape>,
    /// The ids of the topics that are read, so that one that was deleted and made again is noticed.
    topic_ids: Mutex<BTreeMap<String, String>>,
    /// Topics that nobody knows any more, and since when.
    missing_since: Mutex<BTreeMap<String, Instant>>,
    consumer: Mutex<Option<Arc<Consumer>>>,
}

/// A topic that nobody has known for this long is gone.
const MISSING_AFTER: Duration = Duration::from_secs(12);

/// Topics with the number of their partitions.
type Topics = BTreeMap<String, i32>;

impl KafkaSource {
    /// An input that asks no broker yet.
    pub(crate) fn new(
        settings: SourceSettings,
        context: &OpenContext,
        schema: Schema,
        shape: Shape,
    ) -> Self {
        let group = group_id(
            settings.group.as_deref(),
            settings.group_prefix.as_deref(),
            context,
        );
        Self {
            settings,
            context: context.clone(),
            group,
            schema,
            shape: Arc::new(shape),
            topic_ids: Mutex::default(),
            missing_since: Mutex::default(),
            consumer: Mutex::new(None),
        }
    }

    fn connection(&self) -> &Connection {
        &self.settings.connection
    }

    fn consumer(&self) -> Result<Arc<Consumer>, Failure> {
        self.consumer
            .lock()
            .clone()
            .ok_or_else(|| Failure::restart("the Kafka source is closed"))
    }

    /// The topics that are read and exist.
    fn topics(&self, scout: &Scout) -> Result<Topics, Failure> {
        if let Some(names) = self.settings.subscription.named() {
            return names
                .into_iter()
                .map(|name| {
                    scout
                        .existing_topic(name)
                        .map(|topic| (topic.name, topic.partitions))
                })
                .collect();
        }
        let topics: Topics = scout
            .all_topics()?
            .into_iter()
            .filter(|topic| topic.partitions > 0 && self.settings.subscription.covers(&topic.name))
            .map(|topic| (topic.name, topic.partitions))
            .collect();
        if topics.is_empty() {
            tracing::warn!(target: "kafka", "no topic at {} matches subscribePattern yet", self.connection().servers);
        }
        Ok(topics)
    }

    fn places(&self, topics: &Topics) -> Result<Vec<Place>, Failure> {
        let mut places = Vec::new();
        for (topic, count) in topics {
            for partition in self.settings.subscription.partitions(topic, *count)? {
                places.push((topic.clone(), partition));
            }
        }
        Ok(places)
    }

    /// Asks for offsets, as often as `fetchOffset.numRetries` says.
    fn offsets(
        &self,
        scout: &Scout,
        asked: &BTreeMap<Place, i64>,
        committed: bool,
    ) -> Result<BTreeMap<Place, i64>, Failure> {
        let mut left = self.settings.retries;
        loop {
            match scout.offsets(asked, committed) {
                Ok(offsets) => return Ok(offsets),
                Err(failure) if left == 0 => return Err(failure),
                Err(_) => {
                    left -= 1;
                    std::thread::sleep(self.settings.retry_interval);
                }
            }
        }
    }

    fn one_each(
        &self,
        scout: &Scout,
        places: &[Place],
        spec: i64,
        committed: bool,
    ) -> Result<BTreeMap<Place, i64>, Failure> {
        let asked = places.iter().map(|place| (place.clone(), spec)).collect();
        self.offsets(scout, &asked, committed)
    }

    fn ends_of(&self, scout: &Scout, places: &[Place]) -> Result<BTreeMap<Place, Ends>, Failure> {
        let earliest = self.one_each(scout, places, EARLIEST, false)?;
        let latest = self.one_each(scout, places, LATEST, false)?;
        Ok(earliest
            .into_iter()
            .map(|(place, earliest)| {
                let latest = latest.get(&place).copied().unwrap_or(earliest);
                (place, Ends { earliest, latest })
            })
            .collect())
    }

    /// Whether only committed records are read.
    fn committed_only(&self) -> bool {
        self.connection()
            .property("isolation.level")
            .is_none_or(|level| level.eq_ignore_ascii_case("read_committed"))
    }

    /// What the group holds, compared with the checkpoint; the offsets for `startingOffsets 'group'`.
    fn group_offsets(
        &self,
        scout: &Scout,
        places: &[Place],
        resume: Option<&Resume<'_>>,
    ) -> Result<BTreeMap<Place, i64>, Failure> {
        let needed = resume.is_none() && self.settings.starting == Starting::Group;
        if (self.context.temporary && !needed) || places.is_empty() {
            return Ok(BTreeMap::new());
        }
        let held = scout.committed(places)?;
        if !self.context.temporary {
            let witnesses: Vec<Witness> = held
                .iter()
                .filter_map(|entry| Witness::read(entry.metadata.as_deref()?, &self.context))
                .collect();
            judge(&witnesses, resume, &self.group, &self.context)?;
        }
        Ok(held
            .into_iter()
            .map(|entry| ((entry.topic, entry.partition), entry.offset))
            .collect())
    }

    /// Where a first start begins.
    fn first(
        &self,
        scout: &Scout,
        ends: &BTreeMap<Place, Ends>,
        group: &BTreeMap<Place, i64>,
    ) -> Result<Vec<Start>, Failure> {
        let places: Vec<Place> = ends.keys().cloned().collect();
        self.settings.starting.check_named(&places)?;
        let latest = || self.one_each(scout, &places, LATEST, self.committed_only());
        let earliest = || {
            ends.iter()
                .map(|(place, ends)| (place.clone(), ends.earliest))
        };
        let mut chosen: BTreeMap<Place, i64> = match &self.settings.starting {
            Starting::Earliest => earliest().collect(),
            Starting::Latest => latest()?,
            Starting::Group => earliest()
                .map(|(place, earliest)| {
                    let offset = group.get(&place).copied().unwrap_or(earliest);
                    (place, offset)
                })
                .collect(),
            Starting::Exact(named) => named.clone(),
            Starting::Timestamp { at, latest_if_none } => {
                self.at_time(scout, &places, at, *latest_if_none)?
            }
        };
        if chosen.values().any(|offset| *offset == LATEST) {
            let latest = latest()?;
            for (place, offset) in &mut chosen {
                if *offset == LATEST {
                    *offset = latest.get(place).copied().unwrap_or(LATEST);
                }
            }
        }
        let mut starts = Vec::new();
        for (place, ends) in ends {
            let name = partition_name(&place.0, place.1);
            let mut offset = chosen.get(place).copied().unwrap_or(ends.earliest);
            if offset == EARLIEST {
                offset = ends.earliest;
            }
            if let Some((sentence, instead)) = loss(&name, offset, *ends) {
                if self.settings.fail_on_data_loss {
                    return Err(Failure::refuse(format!(
                        "{sentence}. Change the starting offsets, or set failOnDataLoss to false to go on with what is there"
                    )));
                }
                tracing::warn!(target: "kafka", "records are lost, going on because failOnDataLoss is false: {sentence}");
                offset = instead;
            }
            starts.push(start(name, offset));
        }
        Ok(starts)
    }

    fn at_time(
        &self,
        scout: &Scout,
        places: &[Place],
        at: &Times,
        latest_if_none: bool,
    ) -> Result<BTreeMap<Place, i64>, Failure> {
        let asked = match at {
            Times::All(millis) => places
                .iter()
                .map(|place| (place.clone(), *millis))
                .collect(),
            Times::Each(each) => each.clone(),
        };
        // -1 where no record is that new, which also stands for the end.
        let found = self.offsets(scout, &asked, self.committed_only())?;
        if !latest_if_none
            && let Some(((topic, partition), _)) = found.iter().find(|(_, offset)| **offset < 0)
        {
            return Err(Failure::refuse(format!(
                "{topic}/{partition} has no record at or after the starting time {}: take an earlier one, or set \
                 startingOffsetsByTimestampStrategy to latest",
                asked
                    .get(&(topic.clone(), *partition))
                    .copied()
                    .unwrap_or(0)
            )));
        }
        Ok(found)
    }

    /// Reads the ids of topics, and compares them with those of the checkpoint.
    fn identify(
        &self,
        scout: &Scout,
        topics: &Topics,
        resume: Option<&Resume<'_>>,
    ) -> Result<Vec<String>, Failure> {
        let names: Vec<&str> = topics.keys().map(String::as_str).collect();
        let ids = match topic_ids(scout, &names) {
            Ok(ids) => ids,
            Err(failure) => {
                tracing::warn!(target: "kafka", "a topic that is deleted and made again will not be noticed: {failure}");
                return Ok(Vec::new());
            }
        };
        let known: BTreeMap<String, String> = resume
            .and_then(|resume| resume.state)
            .and_then(|state| serde_json::from_slice(state).ok())
            .unwrap_or_default();
        let again: Vec<String> = ids
            .iter()
            .filter(|(topic, id)| known.get(*topic).is_some_and(|before| before != *id))
            .map(|(topic, _)| topic.clone())
            .collect();
        *self.topic_ids.lock() = ids;
        if let Some(topic) = again.first() {
            let sentence = format!(
                "topic `{topic}` was deleted and made again since the checkpoint: its records from then are gone and the \
                 positions mean nothing"
            );
            if self.settings.fail_on_data_loss {
                return Err(Failure::refuse(format!(
                    "{sentence}. Start with --fresh and a new checkpointLocation, or set failOnDataLoss to false to read \
                     the new topic from its beginning"
                )));
            }
            tracing::warn!(target: "kafka", "{sentence}; reading it from its beginning because failOnDataLoss is false");
        }
        Ok(again)
    }

    /// Whether the topics that are read are still there, and the same.
    fn check_topics(
        &self,
        scout: &Scout,
        found: &[TopicInfo],
        known: &[SmolStr],
    ) -> Result<(), Failure> {
        let mut read: Vec<&str> = known
            .iter()
            .filter_map(|name| place_of(name).map(|(topic, _)| topic))
            .collect();
        read.dedup();
        let mut missing = self.missing_since.lock();
        for topic in &read {
            let there = found
                .iter()
                .any(|info| info.name == *topic && info.error == Code::OK && info.partitions > 0);
            if there {
                missing.remove(*topic);
            // A broker that has just started may not know all topics yet.
            } else if missing
                .entry((*topic).to_owned())
                .or_insert_with(Instant::now)
                .elapsed()
                > MISSING_AFTER
            {
                return Err(Failure::end(format!(
                    "topic `{topic}` at {} does not exist any more, or may not be seen: was it deleted?",
                    self.connection().servers
                )));
            }
        }
        drop(missing);
        let Ok(now) = topic_ids(scout, &read) else {
            return Ok(());
        };
        let known = self.topic_ids.lock();
        let again = now
            .iter()
            .find(|(topic, id)| known.get(*topic).is_some_and(|before| before != *id));
        match again {
            // The next run compares with the checkpoint, and does what failOnDataLoss says.
            Some((topic, _)) => Err(Failure::restart(format!(
                "topic `{topic}` was deleted and made again while it was read"
            ))),
            None => Ok(()),
        }
    }

    fn start_consumer(&self, partitions: usize, topics: &[&str]) -> Result<(), Failure> {
        let consumer = Consumer::start(
            self.connection(),
            &self.group,
            Limits {
                partitions,
                max_offsets: self.settings.max_offsets,
                trigger: self.context.trigger_interval,
                stall_after: STALL_AFTER,
            },
        )?;
        consumer.learn(topics)?;
        *self.consumer.lock() = Some(Arc::new(consumer));
        Ok(())
    }
}

/// The ids of topics, where the broker has ids.
fn topic_ids(scout: &Scout, names: &[&str]) -> Result<BTreeMap<String, String>, Failure> {
    const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";
    Ok(scout
        .describe(names)?
        .into_iter()
        .filter(|(_, told)| !told.id.is_empty() && told.id != NO_ID)
        .map(|(topic, told)| (topic, told.id))
        .collect())
}

impl Source for KafkaSource {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn resolve(&self, resume: Option<&Resume<'_>>) -> Result<Vec<Start>, Failure> {
        let scout = Scout::connect(self.connection(), &self.group)?;
        let topics = self.topics(&scout)?;
        let places = self.places(&topics)?;
        let group = self.group_offsets(&scout, &places, resume)?;
        let ends = self.ends_of(&scout, &places)?;
        let again = self.identify(&scout, &topics, resume)?;
        let starts = match resume {
            Some(resume) => {
                let mut positions = resume.positions.clone();
                positions.retain(|name, _| {
                    !place_of(name).is_some_and(|(topic, _)| again.iter().any(|t| t == topic))
                });
                let resume = Resume {
                    positions: &positions,
                    ..resume.clone()
                };
                resumed(&ends, &resume, self.settings.fail_on_data_loss)?
            }
            None => self.first(&scout, &ends, &group)?,
        };
        let names: Vec<&str> = topics.keys().map(String::as_str).collect();
        self.start_consumer(starts.len(), &names)?;
        Ok(starts)
    }

    fn discover(&self, known: &[SmolStr]) -> Result<Vec<Start>, Failure> {
        let consumer = self.consumer()?;
        consumer.watch()?;
        let scout = consumer.scout();
        let names = self.settings.subscription.named();
        let found = match &names {
            Some(names) => scout.topics(names),
            None => scout.all_topics(),
        };
        let Ok(found) = found else {
            return Ok(Vec::new());
        };
        self.check_topics(&scout, &found, known)?;
        let topics: Topics = found
            .into_iter()
            .filter(|topic| topic.partitions > 0 && self.settings.subscription.covers(&topic.name))
            .map(|topic| (topic.name, topic.partitions))
            .collect();
        let mut new = self.places(&topics).unwrap_or_default();
        new.retain(|(topic, partition)| !known.contains(&partition_name(topic, *partition)));
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let Ok(earliest) = self.one_each(&scout, &new, EARLIEST, false) else {
            return Ok(Vec::new());
        };
        let fresh: Vec<&str> = topics
            .keys()
            .map(String::as_str)
            .filter(|topic| !self.topic_ids.lock().contains_key(*topic))
            .collect();
        if let Ok(ids) = topic_ids(&scout, &fresh) {
            self.topic_ids.lock().extend(ids);
        }
        Ok(earliest
            .into_iter()
            .map(|((topic, partition), offset)| start(partition_name(&topic, partition), offset))
            .collect())
    }

    fn ends(&self) -> Result<BTreeMap<SmolStr, Position>, Failure> {
        let consumer = self.consumer()?;
        let scout = consumer.scout();
        let places = self.places(&self.topics(&scout)?)?;
        Ok(self
            .one_each(&scout, &places, LATEST, self.committed_only())?
            .into_iter()
            .map(|((topic, partition), offset)| {
                (partition_name(&topic, partition), Position::Number(offset))
            })
            .collect())
    }

    fn read(
        &self,
        partition: &Arc<Partition>,
        from: &Position,
        until: Option<&Position>,
    ) -> Result<RecordStream, Failure> {
        let offset = |position: &Position| match position {
            Position::Number(offset) => Ok(*offset),
            Position::Token(_) => Err(Failure::refuse(format!(
                "the position of {partition} is not a Kafka offset"
            ))),
        };
        let place = place_of(&partition.name).ok_or_else(|| {
            Failure::refuse(format!(
                "`{partition}` is not the name of a Kafka partition"
            ))
        })?;
        let until = until.map(offset).transpose()?;
        let reader = Reader::open(
            &self.consumer()?,
            &self.shape,
            partition,
            place,
            offset(from)?,
            until,
        )?;
        Ok(Box::pin(reader))
    }

    fn save(&self) -> Option<Vec<u8>> {
        let ids = self.topic_ids.lock();
        if ids.is_empty() {
            return None;
        }
        serde_json::to_vec(&*ids).ok()
    }

    fn forget(&self, committed: &Committed) {
        if self.context.temporary {
            return;
        }
        let Ok(consumer) = self.consumer() else {
            return;
        };
        let witness = Witness {
            checkpoint: committed.checkpoint.to_string(),
            epoch: committed.epoch,
        }
        .text(&self.context);
        let positions: Vec<(Place, i64, String)> = committed
            .positions
            .iter()
            .filter_map(|(name, position)| {
                let (topic, partition) = place_of(name)?;
                let Position::Number(offset) = position else {
                    return None;
                };
                Some(((topic.to_owned(), partition), *offset, witness.clone()))
            })
            .collect();
        if !positions.is_empty() {
            consumer.commit(positions);
        }
    }

    fn health(&self) -> Health {
        self.consumer().map_or_else(
            |failure| Health::Down(failure.message),
            |consumer| consumer.health(),
        )
    }

    fn lag(&self) -> Vec<(SmolStr, i64)> {
        self.consumer()
            .map_or_else(|_| Vec::new(), |consumer| consumer.lag())
    }

    fn close(&self) {
        if let Some(consumer) = self.consumer.lock().take() {
            consumer.close();
        }
    }
}
