//! Stories of a whole query on memory sources and sinks, on real threads.
#![allow(clippy::unwrap_used)]

mod folder;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix::{Arbiter, System};
use smol_str::SmolStr;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::store::FolderStore;
use thalweg_engine::error::{Failure, RecordError, Remedy};
use thalweg_engine::flow::lane::{DeadLetters, OnError};
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::memory::{MemoryLog, MemorySink, MemorySource};
use thalweg_engine::metrics::{Metrics, QueryMetrics};
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::plan::{Input, Opened, Plan, Role, Side};
use thalweg_engine::query::{Host, Query, Settings};
use thalweg_engine::record::{Position, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::status::QueryStatus;
use thalweg_engine::workers::Workers;
use tokio::sync::watch;

/// `SELECT number UNION ALL SELECT 100 / number`: the second output of 0 fails, and 13 is a bug of the operator.
struct Twice(Arc<AtomicU32>);

impl Operator for Twice {
    fn process(
        &mut self,
        _: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let Value::BigInt(number) = row[0] else {
            return Err(RecordError::expression("not a number"));
        };
        emit.emit(row, meta)?;
        if number == 13 && self.0.fetch_sub(1, Ordering::Relaxed) > 0 {
            panic!("planted");
        }
        let Some(share) = 100_i64.checked_div(number) else {
            return Err(RecordError::expression("division by zero"));
        };
        emit.emit(&[Value::BigInt(share)], meta)
    }
}

#[derive(Clone)]
struct Halves {
    log: MemoryLog,
    sink: MemorySink,
    on_error: OnError,
    panics: Arc<AtomicU32>,
    plan: &'static str,
}

impl Plan for Halves {
    fn open(&self, _: &str) -> Result<Opened, Failure> {
        Ok(Opened {
            inputs: vec![Input {
                name: "numbers".into(),
                entries: vec![Target::Step { step: 0, input: 0 }],
                role: Role::default(),
                source: Arc::new(MemorySource::new(&self.log)),
            }],
            exchanges: Vec::new(),
            sink: Arc::new(self.sink.clone()),
            on_error: self.on_error.clone(),
        })
    }

    fn steps(&self, _: Side, _: &[(SmolStr, SmolStr)]) -> Vec<Step> {
        vec![Step {
            name: "twice".into(),
            operator: Box::new(Twice(Arc::clone(&self.panics))),
            to: Target::Writer,
        }]
    }

    fn gathers(&self) -> bool {
        false
    }

    fn identity(&self) -> serde_json::Value {
        self.plan.into()
    }

    fn compare(&self, old: &serde_json::Value) -> Result<(), String> {
        if *old == self.identity() {
            Ok(())
        } else {
            Err("its input was another".into())
        }
    }
}

impl Halves {
    fn of(numbers: &[i64]) -> Self {
        let schema = Schema::new([Field::required("number", DataType::BigInt)]);
        let log = MemoryLog::new("numbers", schema, 1);
        for number in numbers {
            log.append(0, Ok(vec![Value::BigInt(*number)]));
        }
        Self {
            log,
            sink: MemorySink::default(),
            on_error: OnError::Fail,
            panics: Arc::default(),
            plan: "halves",
        }
    }

    fn out(&self) -> Vec<i64> {
        numbers(&self.sink.rows())
    }

    /// Ready to read to the end.
    fn query(&self, folder: &Path) -> (Query, Arc<QueryMetrics>) {
        let metrics = Metrics::new().query("halves");
        let store = folder::locked(folder);
        let query = Query {
            job: "job".into(),
            name: "halves".into(),
            plan: Arc::new(self.clone()),
            settings: Settings {
                bounded: true,
                checkpoint_interval: Duration::from_millis(20),
                ..Settings::default()
            },
            log: Arc::new(CheckpointLog::new(Arc::new(store), 10, true)),
            host: Host {
                arbiters: Vec::new(),
                workers: Workers::pool(),
                budget: Arc::default(),
            },
            status: Arc::new(QueryStatus::new("halves", Arc::clone(&metrics))),
            group: None,
        };
        (query, metrics)
    }

    /// Reads to the end.
    fn run(&self, folder: &Path) -> (Result<(), Failure>, Arc<QueryMetrics>) {
        let (mut query, metrics) = self.query(folder);
        let (_tell, told) = watch::channel(false);
        let ended = System::new().block_on(async {
            let arbiter = Arbiter::new();
            query.host.arbiters.push(arbiter.handle());
            query.run(told).await
        });
        (ended, metrics)
    }
}

fn numbers(rows: &[Row]) -> Vec<i64> {
    rows.iter()
        .filter_map(|row| match row[0] {
            Value::BigInt(number) => Some(number),
            _ => None,
        })
        .collect()
}

fn position(folder: &Path) -> Position {
    let log = CheckpointLog::new(Arc::new(FolderStore::read_only(folder)), 10, true);
    let newest = log.newest().unwrap().unwrap();
    newest.partitions().next().unwrap().position.clone()
}

#[test]
fn a_bounded_query_reads_to_the_end_and_commits_it() {
    let folder = tempfile::tempdir().unwrap();
    let query = Halves::of(&[1, 2, 5]);
    let (ended, metrics) = query.run(folder.path());
    ended.unwrap();
    assert_eq!(query.out(), [1, 100, 2, 50, 5, 20]);
    assert_eq!(position(folder.path()), Position::Number(3));
    assert_eq!(metrics.records_in.get(), 3);
    assert_eq!(metrics.records_out.get(), 6);
}

#[test]
fn a_paused_query_takes_nothing_and_commits_epochs_until_it_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let halves = Halves::of(&[1, 2, 5]);
    let (mut query, metrics) = halves.query(folder.path());
    let status = Arc::clone(&query.status);
    assert!(status.pause(true) && !status.pause(true));
    let (_tell, told) = watch::channel(false);
    let story = async {
        let watching = async {
            while metrics.epochs_committed.get() < 3 {
                actix::clock::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(metrics.records_in.get(), 0);
            assert!(halves.out().is_empty());
            assert_eq!((metrics.ready.get(), metrics.paused.get()), (0, 1));
            assert!(status.paused().is_some());
            assert!(status.pause(false));
        };
        let arbiter = Arbiter::new();
        query.host.arbiters.push(arbiter.handle());
        tokio::join!(query.run(told), watching).0
    };
    System::new().block_on(story).unwrap();
    assert_eq!(halves.out(), [1, 100, 2, 50, 5, 20]);
    assert_eq!(metrics.paused.get(), 0);
    assert_eq!(position(folder.path()), Position::Number(3));
}

#[test]
fn a_second_run_goes_on_where_the_first_ended() {
    let folder = tempfile::tempdir().unwrap();
    let query = Halves::of(&[1]);
    query.run(folder.path()).0.unwrap();
    query.log.append(0, Ok(vec![Value::BigInt(4)]));
    query.run(folder.path()).0.unwrap();
    assert_eq!(query.out(), [1, 100, 4, 25]);
}

#[test]
fn under_fail_the_query_ends_before_the_bad_record_and_says_how_to_step_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let query = Halves::of(&[1, 2, 0, 4]);
    let failure = query.run(folder.path()).0.unwrap_err();
    assert_eq!(failure.remedy, Remedy::End);
    assert!(failure.message.contains("division by zero"), "{failure}");
    let step_over = format!(
        "thalweg checkpoint set {} --skip numbers/0@2",
        folder.path().display()
    );
    assert!(failure.message.ends_with(&step_over), "{failure}");
    assert_eq!(query.out(), [1, 100, 2, 50], "no half of the bad record");
    assert_eq!(position(folder.path()), Position::Number(2));
}

#[test]
fn under_skip_no_half_of_a_bad_record_appears_and_it_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut query = Halves::of(&[1, 0, 2]);
    query.log.append(0, Err(RecordError::decode("not JSON")));
    query.on_error = OnError::Skip;
    let (ended, metrics) = query.run(folder.path());
    ended.unwrap();
    assert_eq!(query.out(), [1, 100, 2, 50]);
    assert_eq!(
        metrics.errors.each_ref().map(|class| class.get()),
        [1, 1, 0]
    );
    assert_eq!(position(folder.path()), Position::Number(4));
}

#[test]
fn under_dead_letter_the_bad_record_goes_to_the_other_table() {
    let folder = tempfile::tempdir().unwrap();
    let mut query = Halves::of(&[0, 5]);
    let dead = MemorySink::default();
    query.on_error = OnError::DeadLetter(DeadLetters {
        sink: Arc::new(dead.clone()),
        row: Arc::new(|record, error| {
            let Position::Number(position) = record.meta.position else {
                return Vec::new();
            };
            vec![Value::BigInt(position), error.reason.as_ref().into()]
        }),
    });
    let (ended, metrics) = query.run(folder.path());
    ended.unwrap();
    assert_eq!(query.out(), [5, 20]);
    assert_eq!(
        dead.rows(),
        [vec![Value::BigInt(0), "division by zero".into()]]
    );
    assert_eq!(metrics.dead_letters.get(), 1);
}

#[test]
fn a_panic_makes_a_new_run_from_the_newest_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let query = Halves::of(&[1, 13, 4]);
    query.panics.store(1, Ordering::Relaxed);
    let (ended, metrics) = query.run(folder.path());
    ended.unwrap();
    assert_eq!(metrics.restarts.get(), 1);
    assert!(
        query.out().ends_with(&[1, 100, 13, 7, 4, 25]),
        "{:?}",
        query.out()
    );
}

#[test]
fn a_panic_that_comes_three_times_at_one_record_ends_the_query() {
    let folder = tempfile::tempdir().unwrap();
    let query = Halves::of(&[13]);
    query.panics.store(100, Ordering::Relaxed);
    let (ended, metrics) = query.run(folder.path());
    let failure = ended.unwrap_err();
    assert!(failure.message.contains("numbers/0@0"), "{failure}");
    assert_eq!(metrics.restarts.get(), 2);
}

#[test]
fn another_querys_or_another_plans_checkpoints_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut query = Halves::of(&[1]);
    query.run(folder.path()).0.unwrap();
    query.plan = "something else";
    let failure = query.run(folder.path()).0.unwrap_err();
    assert_eq!(failure.remedy, Remedy::Refuse);
    assert!(
        failure.message.contains("its input was another"),
        "{failure}"
    );
}
