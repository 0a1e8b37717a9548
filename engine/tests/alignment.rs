//! Stories of two inputs of one lane, of which one is far ahead in event time.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::System;
use smol_str::SmolStr;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::store::FolderStore;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::lane::OnError;
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::memory::{MemoryLog, MemorySink, MemorySource};
use thalweg_engine::metrics::{Metrics, QueryMetrics};
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::plan::{Input, Opened, Plan, Role, Side};
use thalweg_engine::query::{Host, Query, Settings};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::status::QueryStatus;
use thalweg_engine::workers::Workers;
use tokio::sync::watch;

const SECOND: Micros = 1_000_000;
const DAY: Micros = 86_400 * SECOND;

/// Keeps each row until the watermark has passed it, as a side of a join does.
struct Kept {
    times: Vec<Micros>,
    most: Arc<AtomicUsize>,
}

impl Operator for Kept {
    fn process(
        &mut self,
        _: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let Value::BigInt(time) = row[0] else {
            return Err(RecordError::expression("not a number"));
        };
        self.times.push(time);
        self.most.fetch_max(self.times.len(), Ordering::Relaxed);
        emit.watermark(time);
        emit.emit(row, meta)
    }

    fn advance(
        &mut self,
        watermark: Micros,
        _: &RecordMeta,
        _: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        self.times.retain(|time| *time > watermark);
        Ok(Progress::Done)
    }
}

#[derive(Clone)]
struct Two {
    inputs: [MemoryLog; 2],
    sink: MemorySink,
    most: Arc<AtomicUsize>,
}

impl Plan for Two {
    fn open(&self, _: &str) -> Result<Opened, Failure> {
        let names = ["ahead", "behind"];
        let inputs = names
            .into_iter()
            .zip(&self.inputs)
            .map(|(name, log)| Input {
                name: name.into(),
                entries: vec![Target::Step { step: 0, input: 0 }],
                role: Role {
                    event_time: true,
                    ..Role::default()
                },
                source: Arc::new(MemorySource::new(log)),
            });
        Ok(Opened {
            inputs: inputs.collect(),
            exchanges: Vec::new(),
            sink: Arc::new(self.sink.clone()),
            on_error: OnError::Fail,
        })
    }

    fn steps(&self, _: Side, _: &[(SmolStr, SmolStr)]) -> Vec<Step> {
        vec![Step {
            name: "kept".into(),
            operator: Box::new(Kept {
                times: Vec::new(),
                most: Arc::clone(&self.most),
            }),
            to: Target::Writer,
        }]
    }

    fn gathers(&self) -> bool {
        true
    }

    fn identity(&self) -> serde_json::Value {
        "two".into()
    }

    fn compare(&self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}

impl Two {
    fn of(ahead: &[Micros], behind: &[Micros]) -> Self {
        let log = |name: &str, times: &[Micros]| {
            let schema = Schema::new([Field::required("time", DataType::BigInt)]);
            let log = MemoryLog::new(name, schema, 1);
            for time in times {
                log.append(0, Ok(vec![Value::BigInt(*time)]));
            }
            log
        };
        Self {
            inputs: [log("a", ahead), log("b", behind)],
            sink: MemorySink::default(),
            most: Arc::default(),
        }
    }

    fn query(&self, folder: &Path, settings: Settings) -> (Query, Arc<QueryMetrics>) {
        let metrics = Metrics::new().query("two");
        let store = FolderStore::lock(folder).unwrap();
        let query = Query {
            job: "job".into(),
            name: "two".into(),
            plan: Arc::new(self.clone()),
            settings: Settings {
                checkpoint_interval: Duration::from_millis(20),
                ..settings
            },
            log: Arc::new(CheckpointLog::new(Arc::new(store), 10, true)),
            host: Host {
                arbiters: Vec::new(),
                workers: Workers::pool(),
                budget: Arc::default(),
            },
            status: Arc::new(QueryStatus::new("two", Arc::clone(&metrics))),
            group: None,
        };
        (query, metrics)
    }

    /// Reads to the end. Gives the most rows that were kept at once.
    fn most_kept(&self, alignment_max: Duration) -> usize {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            bounded: true,
            alignment_max,
            ..Settings::default()
        };
        let (query, metrics) = self.query(folder.path(), settings);
        let (_tell, told) = watch::channel(false);
        System::new().block_on(query.run(told)).unwrap();
        assert_eq!(metrics.partitions_paused.get(), 0);
        self.most.swap(0, Ordering::Relaxed)
    }
}

#[test]
fn an_input_that_is_a_day_ahead_fills_no_state() {
    // One begins a day later than the other; they end together.
    let behind: Vec<Micros> = (0..8_640).map(|n| n * 20 * SECOND).collect();
    let ahead: Vec<Micros> = (8_640..17_280).map(|n| n * 10 * SECOND).collect();
    let two = Two::of(&ahead, &behind);
    let kept = two.most_kept(Duration::from_secs(3_600));
    // The hour that it may be ahead, and what one turn of reading may take.
    assert!(kept <= 360 + 40, "{kept} rows were kept");
    assert_eq!(two.sink.rows().len(), 2 * 8_640, "all are read");
    // Without a limit nearly all that are ahead are kept until the other input has caught up.
    let free = two.most_kept(Duration::from_secs(1_000_000_000));
    assert!(free > 4_000, "{free} rows were kept");
}

#[test]
fn an_input_that_falls_idle_lets_the_other_go_on() {
    let two = Two::of(&[DAY, DAY + 1, DAY + 2], &[0]);
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        alignment_max: Duration::from_secs(60),
        idle_timeout: Duration::from_millis(300),
        ..Settings::default()
    };
    let (query, metrics) = two.query(folder.path(), settings);
    let (tell, told) = watch::channel(false);
    System::new().block_on(async {
        let running = actix::spawn(query.run(told));
        until("it is paused", || metrics.partitions_paused.get() == 1).await;
        assert!(two.sink.rows().len() <= 2, "no more than one row ahead");
        until("all are read", || two.sink.rows().len() == 4).await;
        assert_eq!(metrics.partitions_paused.get(), 0);
        tell.send(true).unwrap();
        running.await.unwrap().unwrap();
    });
}

#[test]
fn an_input_is_not_idle_because_the_process_was_held_up() {
    let two = Two::of(&[DAY, DAY + 1, DAY + 2], &[0]);
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        alignment_max: Duration::from_secs(60),
        idle_timeout: Duration::from_secs(30),
        checkpoint_interval: Duration::from_secs(3_600),
        ..Settings::default()
    };
    let (mut query, metrics) = two.query(folder.path(), settings);
    query.host.workers = Workers::simulated(Arc::new(|| Duration::from_millis(1)));
    let (tell, told) = watch::channel(false);
    let system = System::with_tokio_rt(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build();
        runtime.expect("a runtime")
    });
    system.block_on(async {
        let running = actix::spawn(query.run(told));
        until("it is paused", || metrics.partitions_paused.get() == 1).await;
        // Nobody has looked meanwhile what has come to the other input.
        tokio::time::advance(Duration::from_secs(60)).await;
        actix::clock::sleep(Duration::from_secs(20)).await;
        assert!(two.sink.rows().len() <= 2, "it is not known to be idle");
        actix::clock::sleep(Duration::from_secs(20)).await;
        until("all are read", || two.sink.rows().len() == 4).await;
        tell.send(true).unwrap();
        running.await.unwrap().unwrap();
    });
}

#[test]
fn a_query_that_is_stopped_while_an_input_waits_goes_on_there() {
    let two = Two::of(&[DAY, DAY + 1, DAY + 2], &[0]);
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (query, metrics) = two.query(folder.path(), Settings::default());
        let (tell, told) = watch::channel(false);
        System::new().block_on(async {
            let running = actix::spawn(query.run(told));
            until("it is paused, or nothing is known to be behind", || {
                metrics.partitions_paused.get() == 1 || two.sink.rows().len() == 4
            })
            .await;
            tell.send(true).unwrap();
            running.await.unwrap().unwrap();
        });
        assert_eq!(metrics.partitions_paused.get(), 0);
    }
    // The second run has found the other input at its end, without any row.
    assert_eq!(two.sink.rows().len(), 4, "each row once");
}

async fn until(what: &str, so: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(20), "not: {what}");
        actix::clock::sleep(Duration::from_millis(2)).await;
    }
}
