//! Whether the topics that are read are those that the checkpoint speaks of: deleted, made again, or with more partitions than before.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use smol_str::SmolStr;
use thalweg_engine::counted::counted;
use thalweg_engine::error::Failure;
use thalweg_engine::source::Resume;

use super::super::codes::Code;
use super::super::known_topics::{self, Known, KnownTopics};
use super::super::questions::TopicInfo;
use super::super::scout::Scout;
use super::super::starting::{Subscription, place_of};
use super::{KafkaSource, Topics};

/// A topic that nobody has known for this long is gone.
const MISSING_AFTER: Duration = Duration::from_secs(12);

impl KafkaSource {
    /// Learns what there is to know of the topics, and compares it with the checkpoint. Gives those that were made again.
    pub(in crate::kafka) fn identify(
        &self,
        scout: &Scout,
        topics: &Topics,
        resume: Option<&Resume<'_>>,
    ) -> Result<Vec<String>, Failure> {
        let names: Vec<&str> = topics.keys().map(String::as_str).collect();
        let ids = topic_ids(scout, &names).unwrap_or_else(|failure| {
            tracing::warn!(target: "kafka", "a topic that is deleted and made again will not be noticed: {failure}");
            BTreeMap::new()
        });
        let before = self.before(topics, resume);
        let mut again = Vec::new();
        let mut known = KnownTopics::new();
        for (topic, partitions) in topics {
            let id = ids.get(topic).cloned().unwrap_or_default();
            let now = match before.get(topic) {
                Some(before) if !id.is_empty() && !before.id.is_empty() && before.id != id => {
                    again.push(topic.clone());
                    // The state is still that of the partitions before.
                    if self.context.partitioned {
                        Known::resumed(id, *partitions, before)
                    } else {
                        Known::new(id, *partitions)
                    }
                }
                Some(before) => Known::resumed(id, *partitions, before),
                None => Known::new(id, *partitions),
            };
            known.insert(topic.clone(), now);
        }
        let moved = |(topic, known): (&String, &Known)| known.moved(topic, topics[topic]);
        let moved = known.iter().find_map(moved);
        *self.known.lock() = known;
        self.made_again(&again)?;
        match moved {
            Some(why) if self.context.partitioned => Err(Failure::refuse(why)),
            _ => Ok(again),
        }
    }

    /// What the checkpoint says of the topics.
    fn before(&self, topics: &Topics, resume: Option<&Resume<'_>>) -> KnownTopics {
        let Some(resume) = resume else {
            return KnownTopics::new();
        };
        let mut before = known_topics::read(resume.state);
        if matches!(self.settings.subscription, Subscription::Assign(_)) {
            return before;
        }
        // Older checkpoints say it by the partitions that they name.
        for topic in topics.keys() {
            let known = before.entry(topic.clone()).or_default();
            if known.partitions == 0 {
                let named = resume.positions.keys().filter_map(|name| place_of(name));
                let count = named.filter(|(of, _)| of == topic).count();
                known.partitions = i32::try_from(count).unwrap_or(0);
            }
        }
        before
    }

    /// What becomes of topics that were deleted and made again.
    fn made_again(&self, again: &[String]) -> Result<(), Failure> {
        let Some(topic) = again.first() else {
            return Ok(());
        };
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
        Ok(())
    }

    /// What becomes of topics that have more partitions than the query knows. (One with fewer is what a broker says that
    /// has just started.)
    pub(super) fn grown(&self, topics: &Topics) -> Result<(), Failure> {
        let known = self.known.lock();
        for (topic, partitions) in topics {
            let Some(known) = known
                .get(topic)
                .filter(|known| known.partitions < *partitions)
            else {
                continue;
            };
            if self.context.partitioned
                && let Some(why) = known.moved(topic, *partitions)
            {
                return Err(Failure::end(why));
            }
            if self.settings.partitioner.is_some() && known.uncheck() {
                tracing::warn!(target: "kafka", "topic `{topic}` has {} now, and had {}: which records were written before cannot be told, so keys are not checked any more", counted(partitions, "partition"), known.partitions);
            }
        }
        Ok(())
    }

    /// Whether the topics that are read are still there, and the same.
    pub(super) fn check_topics(
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
                let sentence = format!(
                    "topic `{topic}` at {} does not exist any more, or may not be seen: was it deleted?",
                    self.connection().servers
                );
                return Err(match self.settings.fail_on_data_loss {
                    true => Failure::end(sentence),
                    // The next run goes on with the topics that there are.
                    false => Failure::restart(sentence),
                });
            }
        }
        drop(missing);
        let Ok(now) = topic_ids(scout, &read) else {
            return Ok(());
        };
        let known = self.known.lock();
        let again = now.iter().find(|(topic, id)| {
            let before = known.get(*topic).map(|known| &known.id);
            before.is_some_and(|before| !before.is_empty() && before != *id)
        });
        match again {
            // The next run compares with the checkpoint, and does what failOnDataLoss says.
            Some((topic, _)) => Err(Failure::restart(format!(
                "topic `{topic}` was deleted and made again while it was read"
            ))),
            None => Ok(()),
        }
    }
}

/// The ids of topics, where the broker has ids.
pub(super) fn topic_ids(
    scout: &Scout,
    names: &[&str],
) -> Result<BTreeMap<String, String>, Failure> {
    const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";
    Ok(scout
        .describe(names)?
        .into_iter()
        .filter(|(_, told)| !told.id.is_empty() && told.id != NO_ID)
        .map(|(topic, told)| (topic, told.id))
        .collect())
}
