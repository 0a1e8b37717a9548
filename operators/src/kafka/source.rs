//! The input itself: resolves where partitions start, finds new ones, opens them, bears witness of what is committed.

mod identity;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use smol_str::SmolStr;
use thalweg_engine::error::Failure;
use thalweg_engine::record::{Partition, Position};
use thalweg_engine::schema::Schema;
use thalweg_engine::source::{
    Committed, Health, RecordStream, Resume, Sharers, Source, Start, TellOwnership,
};

use super::consumer::{Consumer, Limits, STALL_AFTER};
use super::known_topics::{Known, KnownTopics};
use super::options::{Connection, SourceSettings};
use super::partitioner::Check;
use super::reader::{Reader, Shape};
use super::scout::{EARLIEST, LATEST, Scout};
use super::starting::{Place, partition_name, place_of, resumed, start};
use super::witness::{Witness, group_id};
use crate::table::OpenContext;
use identity::topic_ids;

pub(crate) struct KafkaSource {
    pub(super) settings: SourceSettings,
    pub(super) context: OpenContext,
    pub(super) group: String,
    schema: Schema,
    shape: Arc<Shape>,
    /// The topics that are read.
    known: Mutex<KnownTopics>,
    /// Topics that nobody knows any more, and since when.
    missing_since: Mutex<BTreeMap<String, Instant>>,
    consumer: Mutex<Option<Arc<Consumer>>>,
}

/// Topics with the number of their partitions.
pub(super) type Topics = BTreeMap<String, i32>;

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
            known: Mutex::default(),
            missing_since: Mutex::default(),
            consumer: Mutex::new(None),
        }
    }

    /// In a group of its own, named after this table as well.
    pub(crate) fn in_group_of(mut self, table: &str) -> Self {
        self.group = format!("{}-{table}", self.group);
        self
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.settings.connection
    }

    pub(super) fn consumer(&self) -> Result<Arc<Consumer>, Failure> {
        self.consumer
            .lock()
            .clone()
            .ok_or_else(|| Failure::restart("the Kafka source is closed"))
    }

    /// The topics that are read and exist.
    pub(super) fn topics(&self, scout: &Scout) -> Result<Topics, Failure> {
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

    pub(super) fn places(&self, topics: &Topics) -> Result<Vec<Place>, Failure> {
        let mut places = Vec::new();
        for (topic, count) in topics {
            for partition in self.settings.subscription.partitions(topic, *count)? {
                places.push((topic.clone(), partition));
            }
        }
        Ok(places)
    }

    /// Deletes the records before these positions. Where that fails it is said, and the next call does it.
    pub(crate) fn delete_before(&self, positions: &[(SmolStr, Position)]) {
        let Ok(consumer) = self.consumer() else {
            return;
        };
        let offsets: BTreeMap<Place, i64> = positions
            .iter()
            .filter_map(|(name, position)| {
                let (topic, partition) = place_of(name)?;
                match position {
                    Position::Number(offset) => Some(((topic.to_owned(), partition), *offset)),
                    Position::Token(_) | Position::Row(..) => None,
                }
            })
            .collect();
        consumer.scout().delete_before(&offsets);
    }

    pub(super) fn start_consumer(&self, partitions: usize, topics: &[&str]) -> Result<(), Failure> {
        let consumer = Consumer::start(
            self.connection(),
            &self.group,
            Limits {
                partitions,
                // A bounded run waits for no next interval.
                max_offsets: self.settings.max_offsets.filter(|_| !self.context.bounded),
                trigger: self.context.trigger_interval,
                stall_after: STALL_AFTER,
            },
        )?;
        consumer.learn(topics)?;
        *self.consumer.lock() = Some(Arc::new(consumer));
        Ok(())
    }
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
                    !place_of(name).is_some_and(|(topic, _)| {
                        again.iter().any(|t| t == topic)
                            || self.settings.subscription.leaves_out(topic)
                    })
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

    fn join(&self, state: Option<&[u8]>, tell: TellOwnership) -> Result<(), Failure> {
        self.join_group(state, tell)
    }

    fn accompany(&self, state: Option<&[u8]>) -> Result<(), Failure> {
        self.accompany_group(state)
    }

    fn start_of(&self, partition: &str, resume: &Resume<'_>) -> Result<Start, Failure> {
        self.start_of_one(partition, resume)
    }

    fn release(&self, _: &[SmolStr]) {
        self.let_go();
    }

    fn sharers(&self) -> Option<Sharers> {
        self.consumer().ok()?.sharers()
    }

    fn leave(&self) {
        if let Ok(consumer) = self.consumer() {
            consumer.leave();
        }
    }

    fn discover(&self, known: &[SmolStr]) -> Result<Vec<Start>, Failure> {
        let consumer = self.consumer()?;
        consumer.healthy()?;
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
        self.grown(&topics)?;
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
            .filter(|topic| !self.known.lock().contains_key(*topic))
            .collect();
        let ids = topic_ids(&scout, &fresh).unwrap_or_default();
        for topic in fresh {
            let id = ids.get(topic).cloned().unwrap_or_default();
            let known = Known::new(id, topics[topic]);
            self.known.lock().insert(topic.to_owned(), known);
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

    fn back(&self, starts: &[Start], by: Duration) -> Result<Option<Vec<Position>>, Failure> {
        let scout = self.consumer()?.scout();
        let mut offsets = BTreeMap::new();
        for start in starts {
            if let (Some((topic, partition)), Position::Number(offset)) =
                (place_of(&start.partition), &start.position)
            {
                offsets.insert((topic.to_owned(), partition), *offset);
            }
        }
        let back = self.back_from(&scout, &offsets, by)?;
        let of = |start: &Start| {
            let (topic, partition) = place_of(&start.partition)?;
            back.get(&(topic.to_owned(), partition))
                .map(|offset| Position::Number(*offset))
        };
        let back = starts
            .iter()
            .map(|start| of(start).unwrap_or_else(|| start.position.clone()));
        Ok(Some(back.collect()))
    }

    fn read(
        &self,
        partition: &Arc<Partition>,
        from: &Position,
        until: Option<&Position>,
    ) -> Result<RecordStream, Failure> {
        let offset = |position: &Position| match position {
            Position::Number(offset) => Ok(*offset),
            Position::Token(_) | Position::Row(..) => Err(Failure::refuse(format!(
                "the position of {partition} is not a Kafka offset"
            ))),
        };
        let place = place_of(&partition.name).ok_or_else(|| {
            Failure::refuse(format!(
                "`{partition}` is not the name of a Kafka partition"
            ))
        })?;
        let until = until.map(offset).transpose()?;
        let known = self.known.lock().get(place.0).cloned();
        let check = self
            .settings
            .partitioner
            .zip(known)
            .map(|(partitioner, known)| Check {
                partitioner,
                count: known.checked,
            });
        let reader = Reader::open(
            &self.consumer()?,
            &self.shape,
            partition,
            place,
            offset(from)?,
            until,
            check,
        )?;
        Ok(Box::pin(reader))
    }

    fn finish(&self) -> Result<(), Failure> {
        let ends = self.ends()?;
        let offsets = ends
            .into_iter()
            .filter_map(|(name, position)| match position {
                Position::Number(offset) => Some((name, offset)),
                Position::Token(_) | Position::Row(..) => None,
            });
        self.consumer()?.shared.end_at(offsets.collect());
        Ok(())
    }

    fn save(&self) -> Option<Vec<u8>> {
        let known = self.known.lock();
        if known.is_empty() {
            return None;
        }
        serde_json::to_vec(&*known).ok()
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
        let positions: BTreeMap<Place, (i64, String)> = committed
            .positions
            .iter()
            .filter_map(|(name, position)| {
                let (topic, partition) = place_of(name)?;
                let Position::Number(offset) = position else {
                    return None;
                };
                Some(((topic.to_owned(), partition), (*offset, witness.clone())))
            })
            .collect();
        if !positions.is_empty() {
            consumer.commit(positions);
        }
    }

    fn health(&self) -> Health {
        let own = self.consumer().map_or_else(
            |failure| Health::Down(failure.message),
            |consumer| consumer.health(),
        );
        match (own, &self.shape.adviser) {
            (Health::Up, Some(adviser)) => adviser.health(),
            (own, _) => own,
        }
    }

    fn lag(&self) -> Vec<(SmolStr, i64)> {
        self.consumer()
            .map_or_else(|_| Vec::new(), |consumer| consumer.lag())
    }

    fn close(&self) {
        if let Some(consumer) = self.consumer.lock().take() {
            consumer.close();
        }
        if let Some(adviser) = &self.shape.adviser {
            adviser.close();
        }
    }
}
