//! A writer that must learn something before it can tell whether a row can be written: its record waits, and nothing else.
#![allow(clippy::unwrap_used)]

mod passing;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::{Arbiter, System};
use parking_lot::Mutex;
use passing::Passing;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::store::FolderStore;
use thalweg_engine::error::{ErrorClass, Failure, RecordError};
use thalweg_engine::flow::lane::OnError;
use thalweg_engine::memory::{MemoryLog, MemorySink, MemorySource};
use thalweg_engine::metrics::{Metrics, QueryMetrics};
use thalweg_engine::query::{Host, Query, Settings};
use thalweg_engine::record::Position;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::sink::{LocalFuture, Origin, Readiness, Sink, Writer, WriterContext};
use thalweg_engine::status::QueryStatus;
use thalweg_engine::workers::Workers;
use tokio::sync::{Notify, watch};

/// Does not know at first whether 3 and 5 can be written: 3 can, 5 cannot, and about 9 it never learns anything.
#[derive(Clone, Default)]
struct Asking {
    inner: MemorySink,
    known: Arc<Mutex<BTreeSet<i64>>>,
    asked: Arc<Notify>,
}

struct AskingWriter {
    inner: Box<dyn Writer>,
    sink: Asking,
    question: Option<i64>,
}

impl Sink for Asking {
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        Ok(Box::new(AskingWriter {
            inner: self.inner.open(context)?,
            sink: self.clone(),
            question: None,
        }))
    }
}

impl Writer for AskingWriter {
    fn write(&mut self, row: &[Value], origin: Origin<'_>) -> Result<(), RecordError> {
        self.question = None;
        let Value::BigInt(number) = row[0] else {
            return Err(RecordError::write("no number"));
        };
        if [3, 5, 9].contains(&number) && !self.sink.known.lock().contains(&number) {
            self.question = Some(number);
            return Err(RecordError::write("not known yet"));
        }
        if number == 5 {
            return Err(RecordError::write("known to be wrong"));
        }
        self.inner.write(row, origin)
    }

    fn undecided(&mut self) -> Option<LocalFuture<Result<(), Failure>>> {
        let number = self.question.take()?;
        let sink = self.sink.clone();
        Some(Box::pin(async move {
            sink.asked.notify_one();
            if number == 9 {
                std::future::pending::<()>().await;
            }
            actix::clock::sleep(Duration::from_millis(20)).await;
            sink.known.lock().insert(number);
            Ok(())
        }))
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        self.inner.accept()
    }

    fn reject(&mut self) {
        self.inner.reject();
    }

    fn drained(&mut self) -> LocalFuture<Result<(), Failure>> {
        self.inner.drained()
    }

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        self.inner.delivered()
    }
}

struct Copying {
    log: MemoryLog,
    sink: Asking,
}

impl Copying {
    fn of(numbers: &[i64]) -> Self {
        let schema = Schema::new([Field::required("number", DataType::BigInt)]);
        let log = MemoryLog::new("numbers", schema, 1);
        for number in numbers {
            log.append(0, Ok(vec![Value::BigInt(*number)]));
        }
        Self {
            log,
            sink: Asking::default(),
        }
    }

    fn out(&self) -> Vec<Value> {
        let rows = self.sink.inner.rows();
        rows.into_iter().map(|row| row[0].clone()).collect()
    }

    /// Reads to the end, or until it is stopped: when the sink is asked for something that it never learns.
    fn run(&self, folder: &Path, bounded: bool) -> Arc<QueryMetrics> {
        let metrics = Metrics::new().query("copy");
        let store = FolderStore::lock(folder).unwrap();
        let query = Query {
            job: "job".into(),
            name: "copy".into(),
            plan: Arc::new(Passing {
                source: Arc::new(MemorySource::new(&self.log)),
                sink: Arc::new(self.sink.clone()),
                on_error: OnError::Skip,
            }),
            settings: Settings {
                bounded,
                ..Settings::default()
            },
            log: Arc::new(CheckpointLog::new(Arc::new(store), 10, true)),
            host: Host {
                arbiters: Vec::new(),
                workers: Workers::pool(),
                budget: Arc::default(),
            },
            status: Arc::new(QueryStatus::new("copy", Arc::clone(&metrics))),
            group: None,
        };
        let (tell, told) = watch::channel(false);
        let asked = Arc::clone(&self.sink.asked);
        System::new()
            .block_on(async {
                let arbiter = Arbiter::new();
                let mut query = query;
                query.host.arbiters.push(arbiter.handle());
                let stop = async {
                    if bounded {
                        std::future::pending::<()>().await;
                    }
                    asked.notified().await;
                    tell.send_replace(true);
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    ended = query.run(told) => ended,
                    () = stop => Ok(()),
                }
            })
            .unwrap();
        metrics
    }
}

fn position(folder: &Path) -> Position {
    let log = CheckpointLog::new(Arc::new(FolderStore::read_only(folder)), 10, true);
    let newest = log.newest().unwrap().unwrap();
    newest.partitions().next().unwrap().position.clone()
}

#[test]
fn a_record_waits_for_the_answer_and_then_goes_its_way_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let query = Copying::of(&[1, 3, 3, 5, 5, 7]);
    let metrics = query.run(folder.path(), true);
    assert_eq!(query.out(), [1, 3, 3, 7].map(Value::BigInt));
    assert_eq!(position(folder.path()), Position::Number(6));
    // Each is counted once, however often it was tried.
    assert_eq!(metrics.records_in.get(), 6);
    assert_eq!(metrics.records_out.get(), 4);
    assert_eq!(metrics.errors[ErrorClass::Write as usize].get(), 2);
}

#[test]
fn a_stop_while_a_record_waits_leaves_it_to_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let query = Copying::of(&[1, 2, 9, 4]);
    query.run(folder.path(), false);
    assert_eq!(query.out(), [1, 2].map(Value::BigInt));
    assert_eq!(position(folder.path()), Position::Number(2));
}
