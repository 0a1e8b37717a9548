//! A stream as the engine's source: shards are partitions, sequence numbers are positions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use thalweg_engine::error::Failure;
use thalweg_engine::record::{Partition, Position};
use thalweg_engine::schema::Schema;
use thalweg_engine::source::{Committed, Health, RecordStream, Resume, Source, SourceEvent, Start};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::client::{Client, Stream};
use super::fetch::{Fetcher, Shared, wall_millis};
use super::place::Place;
use super::reader::{Reader, Shape};
use super::settings::Settings;
use super::shards::{self, Shard};
use super::trouble::Trouble;
use crate::aside::Aside;
use crate::table::OpenContext;

/// Batches that wait for a lane, of each shard.
const BATCHES_MAX: usize = 1;

/// What a run has to do with the service.
struct Link {
    aside: Aside,
    shared: Arc<Shared>,
}

/// What is known of the stream.
#[derive(Default)]
struct Known {
    /// When it was made, in milliseconds.
    created: i64,
    /// Partitions that were read to their end.
    ended: BTreeSet<SmolStr>,
    /// Shards that nothing is written to any more.
    closed: BTreeSet<SmolStr>,
    /// All that there were at the start.
    all: Vec<SmolStr>,
    /// All that the stream listed when it was asked last.
    listed: BTreeSet<SmolStr>,
}

/// What a checkpoint holds of the stream beside its positions.
#[derive(Default, Serialize, Deserialize)]
struct Saved {
    /// When it was made, in milliseconds.
    created: Option<i64>,
    /// Up to which arrival each shard was read, in milliseconds of this machine's clock.
    #[serde(default)]
    read_to: BTreeMap<SmolStr, i64>,
}

impl Saved {
    fn of(state: Option<&[u8]>) -> Self {
        let read = state.and_then(|state| serde_json::from_slice(state).ok());
        read.unwrap_or_default()
    }
}

/// The source.
pub(crate) struct KinesisSource {
    settings: Settings,
    interval: Duration,
    schema: Schema,
    shape: Arc<Shape>,
    link: Mutex<Option<Arc<Link>>>,
    known: Mutex<Known>,
    /// Up to which arrival each partition was read.
    read_to: Arc<Mutex<BTreeMap<SmolStr, i64>>>,
}

impl KinesisSource {
    /// Asks nobody yet.
    pub(crate) fn new(
        settings: Settings,
        context: &OpenContext,
        schema: Schema,
        shape: Shape,
    ) -> Self {
        Self {
            settings,
            interval: context.trigger_interval.unwrap_or(Duration::from_secs(1)),
            schema,
            shape: Arc::new(shape),
            link: Mutex::default(),
            known: Mutex::default(),
            read_to: Arc::default(),
        }
    }

    fn link(&self) -> Result<Arc<Link>, Failure> {
        let link = self.link.lock().clone();
        link.ok_or_else(|| Failure::restart("the stream is not open: a bug"))
    }

    fn connect(&self) -> Result<Arc<Link>, Failure> {
        let began = Instant::now();
        let aside = Aside::start("Kinesis")?;
        let settings = self.settings.clone();
        let client = aside.ask(async move { Client::new(&settings).await })??;
        let shared = Arc::new(Shared {
            client,
            settings: self.settings.clone(),
            interval: self.interval,
            reading: AtomicUsize::new(0),
            behind: Mutex::default(),
            away: Mutex::default(),
            retention: AtomicI64::new(0),
            read_to: Arc::clone(&self.read_to),
            began,
        });
        let link = Arc::new(Link { aside, shared });
        *self.link.lock() = Some(Arc::clone(&link));
        Ok(link)
    }

    /// Whether the stream of a checkpoint is another one; then its positions mean nothing.
    fn made_again(&self, stream: &Stream, saved: &Saved) -> Result<bool, Failure> {
        let before = saved.created;
        if before.is_none_or(|before| before == stream.created) {
            return Ok(false);
        }
        let name = &self.settings.stream;
        let sentence = format!(
            "the stream `{name}` was deleted and made again since the checkpoint: its records from then are gone and the \
             positions mean nothing"
        );
        if self.settings.fail_on_data_loss {
            return Err(Failure::refuse(format!(
                "{sentence}. Start with a new checkpointLocation, or set failOnDataLoss to false to read the new stream \
                 from its beginning"
            )));
        }
        tracing::warn!(target: "kinesis", "{sentence}; reading it from its beginning because failOnDataLoss is false");
        Ok(true)
    }

    /// What becomes of shards that a checkpoint names and that are gone.
    fn lost(&self, shards: &[Shard], resume: &Resume<'_>, stream: &Stream) -> Result<(), Failure> {
        let known = self.known.lock();
        let lost = shards::lost(
            &self.settings.stream,
            shards,
            resume.positions,
            &known.ended,
        );
        let Some(first) = lost.first() else {
            return Ok(());
        };
        let sentence = format!(
            "{} of the shards that the checkpoint names are not there any more and were not read to their end, {first} at {} \
             among them: the stream keeps records for {} hours",
            lost.len(),
            resume.positions[*first],
            stream.retention_hours
        );
        if self.settings.fail_on_data_loss {
            return Err(Failure::refuse(format!(
                "{sentence}. What was not read is lost; set failOnDataLoss to false to go on without it"
            )));
        }
        tracing::warn!(target: "kinesis", "{sentence}; going on without them because failOnDataLoss is false");
        Ok(())
    }

    fn starts(
        &self,
        stream: &Stream,
        shards: &[Shard],
        resume: Option<&Resume<'_>>,
        now: i64,
    ) -> Result<Vec<Start>, Failure> {
        let name = &self.settings.stream;
        if let Some(resume) = resume {
            let saved = Saved::of(resume.state);
            if self.made_again(stream, &saved)? {
                self.known.lock().ended.clear();
                return Ok(shards::resumed(
                    name,
                    shards,
                    &BTreeMap::new(),
                    &BTreeSet::new(),
                ));
            }
            self.lost(shards, resume, stream)?;
            *self.read_to.lock() = saved.read_to;
            let ended = self.known.lock().ended.clone();
            return Ok(shards::resumed(name, shards, resume.positions, &ended));
        }
        let starting = &self.settings.starting;
        let unknown = starting
            .named()
            .find(|id| !shards.iter().any(|shard| shard.id == *id));
        if let Some(id) = unknown {
            return Err(Failure::refuse(format!(
                "startingPosition names the shard `{id}`, and the stream `{name}` has none of that name"
            )));
        }
        Ok(shards::first(name, shards, starting, now))
    }
}

impl Source for KinesisSource {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn behind(&self, record: &Position) -> Option<Position> {
        super::behind(record)
    }

    fn leave_out(&self, ended: BTreeSet<SmolStr>) {
        self.known.lock().ended = ended;
    }

    fn resolve(&self, resume: Option<&Resume<'_>>) -> Result<Vec<Start>, Failure> {
        // Before anything is asked: what arrives from now on is read.
        let now = wall_millis();
        let link = self.connect()?;
        let client = link.shared.client.clone();
        let (name, place) = (&self.settings.stream, client.place.clone());
        let asked = link.aside.ask(async move {
            let stream = client.stream().await?;
            Ok::<_, Trouble>((stream, client.shards().await?))
        })?;
        let (stream, shards) = asked.map_err(|trouble| trouble.failure(name, &place))?;
        if stream.status == "DELETING" {
            return Err(Trouble::Missing.failure(name, &place));
        }
        let kept = i64::from(stream.retention_hours) * 3_600_000;
        link.shared.retention.store(kept, Ordering::Relaxed);
        let starts = self.starts(&stream, &shards, resume, now)?;
        let mut known = self.known.lock();
        known.created = stream.created;
        let names = |shards: &mut dyn Iterator<Item = &Shard>| {
            shards
                .map(|shard| shards::name(name, &shard.id))
                .collect::<Vec<_>>()
        };
        known.all = names(&mut shards.iter());
        known.listed = known.all.iter().cloned().collect();
        let closed = names(&mut shards.iter().filter(|shard| shard.closed));
        known.closed = closed.into_iter().collect();
        Ok(starts)
    }

    fn discover(&self, known: &[SmolStr]) -> Result<Vec<Start>, Failure> {
        let link = self.link()?;
        let client = link.shared.client.clone();
        let (name, place) = (&self.settings.stream, client.place.clone());
        match link.aside.ask(async move { client.shards().await })? {
            Ok(shards) => {
                let mut mine = self.known.lock();
                let listed = shards.iter().map(|shard| shards::name(name, &shard.id));
                mine.listed = listed.collect();
                Ok(shards::found(name, &shards, known, &mine.ended))
            }
            Err(Trouble::Missing) => Err(Failure::end(format!(
                "the stream `{name}` does not exist any more at {place}: was it deleted?"
            ))),
            Err(trouble @ Trouble::Denied(_)) => Err(trouble.failure(name, &place)),
            Err(trouble) => {
                tracing::debug!(target: "kinesis", "shards are not listed: {}", trouble.text(name, &place));
                Ok(Vec::new())
            }
        }
    }

    fn gone(&self, ended: &BTreeSet<SmolStr>) -> BTreeSet<SmolStr> {
        let known = self.known.lock();
        ended.difference(&known.listed).cloned().collect()
    }

    fn discover_interval(&self) -> Option<Duration> {
        Some(self.settings.list_interval)
    }

    /// Closed shards end by themselves.
    fn ends(&self) -> Result<BTreeMap<SmolStr, Position>, Failure> {
        let known = self.known.lock();
        let open = known
            .all
            .iter()
            .filter(|name| !known.closed.contains(*name));
        let tip = || Position::Token(Arc::from("the tip"));
        Ok(open.map(|name| (name.clone(), tip())).collect())
    }

    fn read(
        &self,
        partition: &Arc<Partition>,
        from: &Position,
        until: Option<&Position>,
    ) -> Result<RecordStream, Failure> {
        let link = self.link()?;
        let place = Place::of(from)?;
        let (into, fetched) = mpsc::channel(BATCHES_MAX);
        let fetcher = Fetcher::new(
            &link.shared,
            &partition.name,
            shards::shard_of(&partition.name),
            place.clone(),
            until.is_some(),
        );
        link.aside.spawn(fetcher.run(into));
        let reader = Reader::new(
            &self.shape,
            partition,
            &self.settings.stream,
            &place,
            fetched,
        );
        let stream: std::pin::Pin<Box<dyn futures_util::Stream<Item = SourceEvent>>> =
            Box::pin(reader);
        Ok(stream)
    }

    fn save(&self) -> Option<Vec<u8>> {
        let created = self.known.lock().created;
        let saved = Saved {
            created: Some(created),
            read_to: self.read_to.lock().clone(),
        };
        serde_json::to_vec(&saved).ok()
    }

    /// Nobody else is told: positions stand in the checkpoint.
    fn forget(&self, _: &Committed) {}

    fn health(&self) -> Health {
        let Some(link) = self.link.lock().clone() else {
            return Health::Up;
        };
        let away = link.shared.away.lock();
        away.values()
            .next()
            .map_or(Health::Up, |why| Health::Down(why.clone()))
    }

    fn delay(&self) -> Vec<(SmolStr, i64)> {
        let Some(link) = self.link.lock().clone() else {
            return Vec::new();
        };
        let behind = link.shared.behind.lock();
        behind
            .iter()
            .map(|(name, millis)| (name.clone(), *millis))
            .collect()
    }

    fn close(&self) {
        if let Some(link) = self.link.lock().take() {
            link.aside.close();
        }
    }
}
