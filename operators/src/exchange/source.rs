//! The beginning of the second half: the topic as an input, whose records go when nobody can need them any more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use thalweg_engine::counted::counted;
use thalweg_engine::error::{Failure, Remedy};
use thalweg_engine::query::new_id;
use thalweg_engine::record::{Partition, Position};
use thalweg_engine::schema::{Field, Schema};
use thalweg_engine::source::{
    Committed, Health, RecordStream, Resume, Sharers, Source, Start, TellOwnership,
};

use super::Exchange;
use super::parcel::{Reading, facts};
use crate::kafka::{KafkaSource, Shape, SourceSettings, Starting, Subscription, group_id};
use crate::table::{OpenContext, Table};

/// So many of the newest committed epochs can be gone back to: what they still need to read is not deleted.
const EPOCHS_KEPT: usize = 10;

/// Opens the source.
///
/// # Errors
/// For options of the input that cannot be read.
pub(super) fn open(
    input: &Table,
    exchange: &Arc<Exchange>,
    context: &OpenContext,
) -> Result<Arc<dyn Source>, Failure> {
    let settings = SourceSettings::of(input).map_err(|error| Failure::refuse(error.message))?;
    // A member of the input's group cannot be one a second time.
    let group = context.member.as_ref().map(|_| {
        format!(
            "{}-exchange",
            group_id(
                settings.group.as_deref(),
                settings.group_prefix.as_deref(),
                context
            )
        )
    });
    let settings = SourceSettings {
        group: group.or_else(|| settings.group.clone()),
        subscription: Subscription::Topics(vec![exchange.topic.clone()]),
        // Nothing of this query is there before its first start.
        starting: Starting::Latest,
        fail_on_data_loss: true,
        max_offsets: None,
        partitioner: None,
        retry_interval: settings.retry_interval.max(Duration::from_millis(10)),
        ..settings
    };
    let columns = exchange
        .types
        .iter()
        .enumerate()
        .map(|(place, data_type)| Field::nullable(format!("c{place}"), data_type.clone()));
    let schema = Schema::new(columns.chain(facts()).collect::<Vec<_>>());
    let shared = Arc::clone(exchange);
    let shape = Shape {
        width: schema.fields.len(),
        decoder: None,
        adviser: None,
        key: None,
        fills: Vec::new(),
        fail_on_data_loss: true,
        whole: Some(Box::new(move || {
            Box::new(Reading::new(Arc::clone(&shared)))
        })),
    };
    Ok(Arc::new(ExchangeSource {
        topic: KafkaSource::new(settings, context, schema, shape),
        exchange: Arc::clone(exchange),
        committed: Mutex::default(),
    }))
}

/// What the checkpoint holds of it.
#[derive(Serialize, Deserialize)]
struct Saved {
    id: SmolStr,
    /// What the topic as an input saves.
    topic: Option<serde_json::Value>,
}

type Positions = Vec<(SmolStr, Position)>;

struct ExchangeSource {
    topic: KafkaSource,
    exchange: Arc<Exchange>,
    /// By partition, the positions of the newest epochs, oldest first.
    committed: Mutex<BTreeMap<SmolStr, VecDeque<Position>>>,
}

impl ExchangeSource {
    /// Takes up the query's id from the checkpoint. Gives what the topic has saved.
    fn resume(&self, state: Option<&[u8]>) -> Result<Option<Vec<u8>>, Failure> {
        let saved: Option<Saved> = state.and_then(|state| serde_json::from_slice(state).ok());
        let Some(saved) = saved else {
            return Err(Failure::refuse(
                "the checkpoint does not say which records of the exchange topic are its own: it is damaged",
            ));
        };
        let _ = self.exchange.id.set(saved.id);
        Ok(saved.topic.map(|topic| topic.to_string().into_bytes()))
    }

    /// Whether the topic has the partitions that the checkpoint knows.
    fn compare(&self, resume: &Resume<'_>) -> Result<(), Failure> {
        let topic = &self.exchange.topic;
        let (was, is) = (resume.positions.len(), self.exchange.partitions);
        if self.exchange.made && was > 0 {
            return Err(Failure::refuse(format!(
                "the exchange topic `{topic}` was deleted since the checkpoint, and the rows that were in it with it; an empty one \
                 is made in its place. Restore the topic, or begin anew with another queryName or checkpointLocation"
            )));
        }
        if was != is {
            return Err(Failure::refuse(format!(
                "the exchange topic `{topic}` has {}, and the checkpoint knows {was}: keys would change their \
                 place. Its number of partitions must stay; to change it, delete the topic and begin anew with another \
                 queryName or checkpointLocation",
                counted(is, "partition")
            )));
        }
        Ok(())
    }

    /// Notes what an epoch has committed; gives the positions before which nothing is needed any more.
    fn note(&self, positions: &Positions) -> Positions {
        let mut committed = self.committed.lock();
        let mut unneeded = Positions::new();
        for (partition, position) in positions {
            let epochs = committed.entry(partition.clone()).or_default();
            if epochs.back() == Some(position) {
                continue;
            }
            epochs.push_back(position.clone());
            if epochs.len() > EPOCHS_KEPT
                && let Some(oldest) = epochs.pop_front()
            {
                unneeded.push((partition.clone(), oldest));
            }
        }
        unneeded
    }
}

/// A failure of the topic in words for this topic: it has no options of its own.
fn of_exchange(topic: &str, failure: Failure) -> Failure {
    if failure.remedy != Remedy::Refuse {
        return failure;
    }
    let reason = failure.message;
    // The advice of an input that may go on without them.
    let reason = reason
        .split_once(". Set failOnDataLoss")
        .or_else(|| reason.split_once(". Start with --fresh"))
        .map_or(reason.as_str(), |(reason, _)| reason);
    Failure::refuse(format!(
        "the exchange topic `{topic}` is not what the checkpoint goes on from: {reason}. Restore the topic, or begin anew with \
         another queryName or checkpointLocation"
    ))
}

/// A failure of the topic at a first start: it says that there was an earlier life of the query, which may have read something
/// else.
fn of_earlier(topic: &str, failure: Failure) -> Failure {
    if failure.remedy != Remedy::Refuse {
        return failure;
    }
    Failure::refuse(format!(
        "{}. That stands beside the exchange topic `{topic}`, which belongs to the jobName and queryName, whatever topic the \
         query reads: a start with --fresh passes over the rows in it. If the earlier query is another one that is to go on, give \
         this one another jobName or queryName",
        failure.message
    ))
}

impl Source for ExchangeSource {
    fn schema(&self) -> &Schema {
        self.topic.schema()
    }

    fn resolve(&self, resume: Option<&Resume<'_>>) -> Result<Vec<Start>, Failure> {
        let Some(resume) = resume else {
            let _ = self.exchange.id.set(SmolStr::new(new_id()));
            let resolved = self.topic.resolve(None);
            return resolved.map_err(|failure| of_earlier(&self.exchange.topic, failure));
        };
        let state = self.resume(resume.state)?;
        self.compare(resume)?;
        let start = resume.positions.iter();
        let start = start.map(|(name, position)| (name.clone(), position.clone()));
        self.note(&start.collect());
        self.topic
            .resolve(Some(&Resume {
                state: state.as_deref(),
                ..resume.clone()
            }))
            .map_err(|failure| of_exchange(&self.exchange.topic, failure))
    }

    fn join(&self, state: Option<&[u8]>, tell: TellOwnership) -> Result<(), Failure> {
        let state = self.resume(state)?;
        self.topic.join(state.as_deref(), tell)
    }

    fn accompany(&self, state: Option<&[u8]>) -> Result<(), Failure> {
        let state = self.resume(state)?;
        self.topic.accompany(state.as_deref())
    }

    fn start_of(&self, partition: &str, resume: &Resume<'_>) -> Result<Start, Failure> {
        let state = self.resume(resume.state)?;
        self.topic
            .start_of(
                partition,
                &Resume {
                    state: state.as_deref(),
                    ..resume.clone()
                },
            )
            .map_err(|failure| of_exchange(&self.exchange.topic, failure))
    }

    fn release(&self, partitions: &[SmolStr]) {
        self.topic.release(partitions);
    }

    fn sharers(&self) -> Option<Sharers> {
        self.topic.sharers()
    }

    fn leave(&self) {
        self.topic.leave();
    }

    fn discover(&self, known: &[SmolStr]) -> Result<Vec<Start>, Failure> {
        let grown = self.topic.discover(known)?;
        if grown.is_empty() {
            return Ok(grown);
        }
        Err(Failure::end(format!(
            "the exchange topic `{}` has got more partitions while it is used: keys would change their place. Begin anew with \
             another queryName or checkpointLocation",
            self.exchange.topic
        )))
    }

    fn ends(&self) -> Result<BTreeMap<SmolStr, Position>, Failure> {
        self.topic.ends()
    }

    fn read(
        &self,
        partition: &Arc<Partition>,
        from: &Position,
        until: Option<&Position>,
    ) -> Result<RecordStream, Failure> {
        self.topic.read(partition, from, until)
    }

    fn finish(&self) -> Result<(), Failure> {
        self.topic.finish()
    }

    fn save(&self) -> Option<Vec<u8>> {
        let topic = self.topic.save();
        serde_json::to_vec(&Saved {
            id: self.exchange.id.get()?.clone(),
            topic: topic.and_then(|topic| serde_json::from_slice(&topic).ok()),
        })
        .ok()
    }

    fn forget(&self, committed: &Committed) {
        self.topic.forget(committed);
        let before = self.note(&committed.positions);
        if !before.is_empty() {
            self.topic.delete_before(&before);
        }
    }

    fn health(&self) -> Health {
        self.topic.health()
    }

    fn lag(&self) -> Vec<(SmolStr, i64)> {
        self.topic.lag()
    }

    fn close(&self) {
        self.topic.close();
    }
}
