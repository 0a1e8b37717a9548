//! How many rows a second one core moves through boxed operators (filter, project) to nowhere, with an epoch every 100 ms.
//!
//! `cargo run --release -p thalweg-engine --example throughput -- 5` runs for five seconds.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix::System;
use futures_util::Stream;
use smol_str::SmolStr;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::store::FolderStore;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::lane::OnError;
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::metrics::Metrics;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::plan::{Input, Opened, Plan, Role, Side};
use thalweg_engine::query::{Host, Query, Settings};
use thalweg_engine::record::{Body, Partition, Position, Record, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::sink::{LocalFuture, Origin, Readiness, Sink, Writer, WriterContext};
use thalweg_engine::source::{RecordStream, Resume, Source, SourceEvent, Start};
use thalweg_engine::status::QueryStatus;
use thalweg_engine::workers::Workers;
use tokio::sync::watch;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Counting(Schema);

impl Source for Counting {
    fn schema(&self) -> &Schema {
        &self.0
    }

    fn resolve(&self, _: Option<&Resume<'_>>) -> Result<Vec<Start>, Failure> {
        Ok(vec![Start {
            partition: "rows/0".into(),
            position: Position::Number(0),
            after: Vec::new(),
        }])
    }

    fn ends(&self) -> Result<BTreeMap<SmolStr, Position>, Failure> {
        Ok(BTreeMap::new())
    }

    fn read(
        &self,
        partition: &Arc<Partition>,
        _: &Position,
        _: Option<&Position>,
    ) -> Result<RecordStream, Failure> {
        Ok(Box::pin(Rows {
            partition: Arc::clone(partition),
            next: 0,
        }))
    }
}

struct Rows {
    partition: Arc<Partition>,
    next: i64,
}

impl Stream for Rows {
    type Item = SourceEvent;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<SourceEvent>> {
        let number = self.next;
        self.next += 1;
        #[allow(clippy::cast_precision_loss)]
        let total = number as f64;
        Poll::Ready(Some(SourceEvent::Record(Record {
            meta: RecordMeta {
                partition: Arc::clone(&self.partition),
                position: Position::Number(number),
                record_time: None,
                event_time: None,
                watermark: None,
                // A clock that costs nothing: some rows a microsecond.
                taken_at: number / 8,
                taken: Instant::now(),
            },
            next: Position::Number(number + 1),
            body: Body::Row(vec![Value::BigInt(number), Value::Double(total)]),
            size: 16,
            raw: None,
        })))
    }
}

/// WHERE total >= 0
struct Filter;

impl Operator for Filter {
    fn process(
        &mut self,
        _: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        match row[1] {
            Value::Double(total) if total >= 0.0 => emit.emit(row, meta),
            _ => Ok(()),
        }
    }
}

/// SELECT number, total * 0.2
struct Project(Vec<Value>);

impl Operator for Project {
    fn process(
        &mut self,
        _: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        self.0.clear();
        self.0.push(row[0].clone());
        self.0.push(match row[1] {
            Value::Double(total) => Value::Double(total * 0.2),
            _ => Value::Null,
        });
        emit.emit(&self.0, meta)
    }
}

struct Nowhere;

impl Sink for Nowhere {
    fn open(&self, _: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        Ok(Box::new(Nowhere))
    }
}

impl Writer for Nowhere {
    fn write(&mut self, _: &[Value], _: Origin<'_>) -> Result<(), RecordError> {
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        Ok(Readiness::Ready)
    }

    fn reject(&mut self) {}

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

struct Steps;

impl Plan for Steps {
    fn open(&self, _: &str) -> Result<Opened, Failure> {
        Ok(Opened {
            inputs: vec![Input {
                name: "rows".into(),
                entries: vec![Target::Step { step: 0, input: 0 }],
                role: Role::default(),
                source: Arc::new(Counting(Schema::new([
                    Field::required("number", DataType::BigInt),
                    Field::required("total", DataType::Double),
                ]))),
            }],
            exchanges: Vec::new(),
            sink: Arc::new(Nowhere),
            on_error: OnError::Fail,
        })
    }

    fn steps(&self, _: Side, _: &[(SmolStr, SmolStr)]) -> Vec<Step> {
        vec![
            Step {
                name: "filter".into(),
                operator: Box::new(Filter),
                to: Target::Step { step: 1, input: 0 },
            },
            Step {
                name: "project".into(),
                operator: Box::new(Project(Vec::new())),
                to: Target::Writer,
            },
        ]
    }

    fn gathers(&self) -> bool {
        false
    }

    fn identity(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    fn compare(&self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds: f64 = std::env::args().nth(1).as_deref().unwrap_or("5").parse()?;
    let folder = std::env::temp_dir().join(format!("thalweg-throughput-{}", std::process::id()));
    let store = FolderStore::lock(&folder).map_err(|error| format!("{error:?}"))?;
    let metrics = Metrics::new().query("throughput");
    let query = Query {
        job: "throughput".into(),
        name: "throughput".into(),
        plan: Arc::new(Steps),
        settings: Settings {
            checkpoint_interval: Duration::from_millis(100),
            ..Settings::default()
        },
        log: Arc::new(CheckpointLog::new(Arc::new(store), 10, false)),
        host: Host {
            arbiters: Vec::new(),
            workers: Workers::pool(),
            budget: Arc::default(),
        },
        status: Arc::new(QueryStatus::new("throughput", Arc::clone(&metrics))),
        group: None,
    };
    let (tell, told) = watch::channel(false);
    System::new().block_on(async {
        actix::spawn(async move {
            actix::clock::sleep(Duration::from_secs_f64(seconds)).await;
            let _ = tell.send(true);
        });
        query.run(told).await
    })?;
    std::fs::remove_dir_all(&folder)?;
    #[allow(clippy::cast_precision_loss)]
    let rate = metrics.records_in.get() as f64 / seconds / 1e6;
    println!(
        "{rate:.2} M rows/s on one core, {} epochs, cut p99.9 {} us, epoch p99 {} us",
        metrics.epochs_committed.get(),
        metrics.cut.quantile(0.999),
        metrics.epoch_duration.quantile(0.99),
    );
    Ok(())
}
