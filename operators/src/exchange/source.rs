//! The beginning of the second half: the topic as an input, whose records go when nobody can need them any more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};
use thalweg_engine::error::{Failure, Remedy};
use thalweg_engine::record::{Partition, Position};
use thalweg_engine::schema::{Field, Schema};
use thalweg_engine::source::{Committed, Health, RecordStream, Resume, Source, Start};

use super::Exchange;
use super::parcel::{Reading, facts};
use crate::kafka::{KafkaSource, Shape, SourceSettings, Starting, Subscription};
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
    let settings = SourceSettings {
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
    /// The positions of the newest epochs, oldest first.
    committed: Mutex<VecDeque<Positions>>,
}

impl ExchangeSource {
    /// Takes up the query's id from the checkpoint.
    fn resume(&self, resume: &Resume<'_>) -> Result<Option<Vec<u8>>, Failure> {
        let saved: Option<Saved> = resume
            .state
            .and_then(|state| serde_json::from_slice(state).ok());
        let Some(saved) = saved else {
            return Err(Failure::refuse(
                "the checkpoint does not say which records of the exchange topic are its own: it is damaged",
            ));
        };
        let topic = &self.exchange.topic;
        let (was, is) = (resume.positions.len(), self.exchange.partitions);
        if was != is {
            return Err(Failure::refuse(format!(
                "the exchange topic `{topic}` has {is} partitions, and the checkpoint knows {was}: keys would change their \
                 place. Its number of partitions must stay; to change it, delete the topic and begin anew with another \
                 queryName or checkpointLocation"
            )));
        }
        let _ = self.exchange.id.set(saved.id);
        let start: Positions = resume
            .positions
            .iter()
            .map(|(name, position)| (name.clone(), position.clone()))
            .collect();
        *self.committed.lock() = VecDeque::from([start]);
        Ok(saved.topic.map(|topic| topic.to_string().into_bytes()))
    }

    /// Notes what an epoch has committed; gives the positions before which nothing is needed any more.
    fn note(&self, positions: &Positions) -> Option<Positions> {
        let mut committed = self.committed.lock();
        if committed.back() == Some(positions) {
            return None;
        }
        committed.push_back(positions.clone());
        if committed.len() <= EPOCHS_KEPT {
            return None;
        }
        committed.pop_front()
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

/// 16 random hexadecimal digits. The hasher's keys come from the system's random numbers.
fn new_id() -> SmolStr {
    use std::hash::{BuildHasher, RandomState};
    format_smolstr!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

impl Source for ExchangeSource {
    fn schema(&self) -> &Schema {
        self.topic.schema()
    }

    fn resolve(&self, resume: Option<&Resume<'_>>) -> Result<Vec<Start>, Failure> {
        let Some(resume) = resume else {
            let _ = self.exchange.id.set(new_id());
            return self.topic.resolve(None);
        };
        let state = self.resume(resume)?;
        self.topic
            .resolve(Some(&Resume {
                state: state.as_deref(),
                ..resume.clone()
            }))
            .map_err(|failure| of_exchange(&self.exchange.topic, failure))
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
        if let Some(before) = self.note(&committed.positions) {
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
