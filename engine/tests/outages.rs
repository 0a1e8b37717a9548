//! What a query whose epochs are rare knows of an input that does not answer, and what it does when it answers again.
#![allow(clippy::unwrap_used)]

mod passing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{Arbiter, System};
use passing::Passing;
use smol_str::SmolStr;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::store::FolderStore;
use thalweg_engine::error::Failure;
use thalweg_engine::flow::lane::OnError;
use thalweg_engine::memory::{MemoryLog, MemorySink, MemorySource};
use thalweg_engine::metrics::Metrics;
use thalweg_engine::query::{Host, Query, Settings};
use thalweg_engine::record::{Partition, Position};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::source::{Health, RecordStream, Resume, Source, Start};
use thalweg_engine::status::{Phase, QueryStatus};
use thalweg_engine::workers::Workers;
use tokio::sync::watch;

/// A log whose system can go away.
#[derive(Clone)]
struct Away {
    log: Arc<MemorySource>,
    away: Arc<AtomicBool>,
}

impl Source for Away {
    fn schema(&self) -> &Schema {
        self.log.schema()
    }

    fn resolve(&self, resume: Option<&Resume<'_>>) -> Result<Vec<Start>, Failure> {
        self.log.resolve(resume)
    }

    fn discover(&self, known: &[SmolStr]) -> Result<Vec<Start>, Failure> {
        self.log.discover(known)
    }

    fn ends(&self) -> Result<BTreeMap<SmolStr, Position>, Failure> {
        self.log.ends()
    }

    fn read(
        &self,
        partition: &Arc<Partition>,
        from: &Position,
        until: Option<&Position>,
    ) -> Result<RecordStream, Failure> {
        self.log.read(partition, from, until)
    }

    fn health(&self) -> Health {
        if self.away.load(Ordering::Relaxed) {
            Health::Down("the broker does not answer".into())
        } else {
            Health::Up
        }
    }
}

#[test]
fn with_an_epoch_an_hour_an_outage_is_known_in_seconds_and_the_epoch_it_kept_away_comes_after_it() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let schema = Schema::new([Field::required("number", DataType::BigInt)]);
    let log = MemoryLog::new("numbers", schema, 1);
    let away = Arc::new(AtomicBool::new(false));
    let source = Away {
        log: Arc::new(MemorySource::new(&log)),
        away: Arc::clone(&away),
    };
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new().query("pass");
    let status = Arc::new(QueryStatus::new("pass", Arc::clone(&metrics)));
    let store = FolderStore::lock(folder.path()).unwrap();
    let sink = MemorySink::default();
    let mut query = Query {
        job: "job".into(),
        name: "pass".into(),
        plan: Arc::new(Passing {
            source: Arc::new(source),
            sink: Arc::new(sink.clone()),
            on_error: OnError::Fail,
        }),
        settings: Settings {
            checkpoint_interval: HOUR,
            ..Settings::default()
        },
        log: Arc::new(CheckpointLog::new(Arc::new(store), 10, true)),
        host: Host {
            arbiters: Vec::new(),
            workers: Workers::simulated(Arc::new(|| Duration::from_millis(1))),
            budget: Arc::default(),
        },
        status: Arc::clone(&status),
        group: None,
    };
    let (tell, told) = watch::channel(false);
    // Time that nobody waits in passes at once.
    let system = System::with_tokio_rt(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build();
        runtime.expect("a runtime")
    });
    system.block_on(async {
        query.host.arbiters.push(Arbiter::current());
        let running = actix::spawn(query.run(told));
        let newest = || status.newest().map_or(0, |checkpoint| checkpoint.epoch);
        let waits = || matches!(status.phase().0, Phase::Waiting(_));
        let sleep = actix::clock::sleep;

        sleep(Duration::from_secs(10)).await;
        let first = newest();
        away.store(true, Ordering::Relaxed);
        sleep(Duration::from_secs(2)).await;
        assert!(waits(), "{:?}", status.phase().0);

        log.append(0, Ok(vec![Value::BigInt(1)]));
        sleep(HOUR).await;
        assert_eq!(newest(), first, "no epoch begins while it is away");
        assert_eq!(metrics.epochs_refused.get(), 1);
        away.store(false, Ordering::Relaxed);
        sleep(Duration::from_secs(2)).await;
        assert!(!waits(), "{:?}", status.phase().0);
        assert_eq!(newest(), first + 1, "its time had come");

        tell.send(true).unwrap();
        running.await.unwrap().unwrap();
    });
    assert_eq!(sink.rows().len(), 1);
}
