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
use tempfile::TempDir;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::store::FolderStore;
use thalweg_engine::error::{Failure, Remedy};
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
use tokio::task::JoinHandle;

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

/// What is around a query of one partition that has its checkpoints in a folder.
struct Scene {
    log: MemoryLog,
    away: Arc<AtomicBool>,
    sink: MemorySink,
    _folder: TempDir,
}

impl Scene {
    fn new(settings: Settings) -> (Self, Query) {
        let schema = Schema::new([Field::required("number", DataType::BigInt)]);
        let log = MemoryLog::new("numbers", schema, 1);
        let (away, sink) = (Arc::new(AtomicBool::new(false)), MemorySink::default());
        let source = Away {
            log: Arc::new(MemorySource::new(&log).with_end(2)),
            away: Arc::clone(&away),
        };
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::new().query("pass");
        let store = FolderStore::lock(folder.path()).unwrap();
        let query = Query {
            job: "job".into(),
            name: "pass".into(),
            plan: Arc::new(Passing {
                source: Arc::new(source),
                sink: Arc::new(sink.clone()),
                on_error: OnError::Fail,
            }),
            settings,
            log: Arc::new(CheckpointLog::new(Arc::new(store), 10, true)),
            host: Host {
                arbiters: Vec::new(),
                workers: Workers::simulated(Arc::new(|| Duration::from_millis(1))),
                budget: Arc::default(),
            },
            status: Arc::new(QueryStatus::new("pass", metrics)),
            group: None,
        };
        let scene = Self {
            log,
            away,
            sink,
            _folder: folder,
        };
        (scene, query)
    }

    fn append(&self) {
        self.log.append(0, Ok(vec![Value::BigInt(1)]));
    }

    fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }
}

/// Runs the query in the system of this thread.
fn begin(mut query: Query, told: watch::Receiver<bool>) -> JoinHandle<Result<(), Failure>> {
    query.host.arbiters.push(Arbiter::current());
    actix::spawn(query.run(told))
}

/// Time that nobody waits in passes at once.
fn play(story: impl Future<Output = ()>) {
    let system = System::with_tokio_rt(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build();
        runtime.expect("a runtime")
    });
    system.block_on(story);
}

#[test]
fn with_an_epoch_an_hour_an_outage_is_known_in_seconds_and_the_epoch_it_kept_away_comes_after_it() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let (scene, query) = Scene::new(Settings {
        checkpoint_interval: HOUR,
        ..Settings::default()
    });
    let status = Arc::clone(&query.status);
    let (tell, told) = watch::channel(false);
    play(async {
        let running = begin(query, told);
        let newest = || status.newest().map_or(0, |checkpoint| checkpoint.epoch);
        let waits = || matches!(status.phase().0, Phase::Waiting(_));
        let sleep = actix::clock::sleep;

        sleep(Duration::from_secs(10)).await;
        let first = newest();
        scene.set_away(true);
        sleep(Duration::from_secs(2)).await;
        assert!(waits(), "{:?}", status.phase().0);

        scene.append();
        sleep(HOUR).await;
        assert_eq!(newest(), first, "no epoch begins while it is away");
        assert_eq!(status.metrics().epochs_refused.get(), 1);
        scene.set_away(false);
        sleep(Duration::from_secs(2)).await;
        assert!(!waits(), "{:?}", status.phase().0);
        assert_eq!(newest(), first + 1, "its time had come");

        tell.send(true).unwrap();
        running.await.unwrap().unwrap();
    });
    assert_eq!(scene.sink.rows().len(), 1);
}

#[test]
fn a_run_that_is_to_end_waits_for_an_outage_as_long_as_it_may_and_then_ends_with_what_it_waited_for()
 {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let (scene, query) = Scene::new(Settings {
        bounded: true,
        outage_timeout: Some(minutes(10)),
        ..Settings::default()
    });
    let (_tell, told) = watch::channel(false);
    play(async {
        let running = begin(query, told);
        let sleep = actix::clock::sleep;
        // One of two rows is there.
        scene.append();
        sleep(minutes(1)).await;
        for outage in [minutes(9), minutes(11)] {
            assert!(!running.is_finished());
            scene.set_away(true);
            sleep(outage).await;
            scene.set_away(false);
            sleep(minutes(2)).await;
        }
        assert!(running.is_finished());
        let failure = running.await.unwrap().unwrap_err();
        assert_eq!(failure.remedy, Remedy::End);
        assert!(
            failure.message.contains("the broker does not answer"),
            "{failure}"
        );
        assert!(failure.message.contains("outageTimeout"), "{failure}");
    });
    assert_eq!(scene.sink.rows().len(), 1);
}
