//! Stories of a bounded run that is one batch: what is late, and when it closes.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::System;
use smol_str::SmolStr;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::store::FolderStore;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::lane::OnError;
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::memory::{MemoryLog, MemorySink, MemorySource};
use thalweg_engine::metrics::Metrics;
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::plan::{Input, Opened, Plan, Role, Side};
use thalweg_engine::query::{Host, Query, Settings};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::status::QueryStatus;
use thalweg_engine::workers::Workers;
use tokio::sync::watch;

/// What happened: `10` a row in time, `10 late` one that is not, `closed 40` windows up to there, `behind 39` what these made
/// for the step behind, `told` the trigger's moment.
type Diary = Arc<Mutex<Vec<String>>>;

/// A row's time, and whether it is late.
fn judged(time: Micros, meta: &RecordMeta) -> String {
    let late = meta.watermark > Some(time);
    format!("{time}{}", if late { " late" } else { "" })
}

/// Rows that promise their own time.
struct Judge(Diary);

impl Operator for Judge {
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
        self.0.lock().unwrap().push(judged(time, meta));
        emit.watermark(time);
        emit.emit(row, meta)
    }

    fn advance(
        &mut self,
        watermark: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        self.0.lock().unwrap().push(format!("closed {watermark}"));
        emit.emit(&[Value::BigInt(watermark - 1), Value::Null], at)?;
        Ok(Progress::Done)
    }

    fn tick(
        &mut self,
        _: Micros,
        _: &RecordMeta,
        _: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        self.0.lock().unwrap().push("told".to_owned());
        Ok(Progress::Done)
    }
}

/// What closed windows make; rows go through.
struct Behind(Diary);

impl Operator for Behind {
    fn process(
        &mut self,
        _: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let [Value::BigInt(time), Value::Null] = row else {
            return emit.emit(row, meta);
        };
        self.0
            .lock()
            .unwrap()
            .push(format!("behind {}", judged(*time, meta)));
        Ok(())
    }
}

#[derive(Clone)]
struct Judged {
    log: MemoryLog,
    sink: MemorySink,
    diary: Diary,
}

impl Plan for Judged {
    fn open(&self, _: &str) -> Result<Opened, Failure> {
        let role = Role {
            event_time: true,
            ..Role::default()
        };
        Ok(Opened {
            inputs: vec![Input {
                name: "times".into(),
                entries: vec![Target::Step { step: 0, input: 0 }],
                role,
                source: Arc::new(MemorySource::new(&self.log)),
            }],
            exchanges: Vec::new(),
            sink: Arc::new(self.sink.clone()),
            on_error: OnError::Fail,
        })
    }

    fn steps(&self, _: Side, _: &[(SmolStr, SmolStr)]) -> Vec<Step> {
        let judge = Step {
            name: "judge".into(),
            operator: Box::new(Judge(Arc::clone(&self.diary))),
            to: Target::Step { step: 1, input: 0 },
        };
        let behind = Step {
            name: "behind".into(),
            operator: Box::new(Behind(Arc::clone(&self.diary))),
            to: Target::Writer,
        };
        vec![judge, behind]
    }

    fn gathers(&self) -> bool {
        true
    }

    fn identity(&self) -> serde_json::Value {
        "judged".into()
    }

    fn compare(&self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}

impl Judged {
    fn new(times: &[Micros]) -> Self {
        let schema = Schema::new([Field::required("time", DataType::BigInt)]);
        let judged = Self {
            log: MemoryLog::new("times", schema, 1),
            sink: MemorySink::default(),
            diary: Diary::default(),
        };
        judged.come(times);
        judged
    }

    fn come(&self, times: &[Micros]) {
        for time in times {
            self.log.append(0, Ok(vec![Value::BigInt(*time)]));
        }
    }

    /// A run to the end, or to where this many rows have been written. Gives what happened.
    fn run(&self, folder: &Path, one_batch: bool, stop_at: Option<usize>) -> Vec<String> {
        let metrics = Metrics::new().query("judged");
        let store = FolderStore::lock(folder).unwrap();
        let query = Query {
            job: "job".into(),
            name: "judged".into(),
            plan: Arc::new(self.clone()),
            settings: Settings {
                bounded: stop_at.is_none(),
                one_batch,
                ..Settings::default()
            },
            log: Arc::new(CheckpointLog::new(Arc::new(store), 10, true)),
            host: Host {
                arbiters: Vec::new(),
                workers: Workers::pool(),
                budget: Arc::default(),
            },
            status: Arc::new(QueryStatus::new("judged", metrics)),
            group: None,
        };
        let (tell, told) = watch::channel(false);
        System::new().block_on(async {
            let running = actix::spawn(query.run(told));
            if let Some(rows) = stop_at {
                while self.sink.rows().len() < rows {
                    actix::clock::sleep(Duration::from_millis(1)).await;
                }
                tell.send(true).unwrap();
            }
            running.await.unwrap().unwrap();
        });
        std::mem::take(&mut self.diary.lock().unwrap())
    }
}

#[test]
fn nothing_is_late_for_the_rest_of_its_batch_and_the_next_is_judged_by_the_end_of_this() {
    let folder = tempfile::tempdir().unwrap();
    let judged = Judged::new(&[100, 10, 90]);
    let all = |one_batch| judged.run(folder.path(), one_batch, None);
    let first = ["100", "10", "90", "closed 100", "behind 99", "told"];
    assert_eq!(all(true), first);
    judged.come(&[50, 120, 110]);
    let next = ["50 late", "120", "110", "closed 120", "behind 119", "told"];
    assert_eq!(all(true)[2..], next);
    judged.come(&[130, 125]);
    let by_row = ["130", "closed 130", "behind 129", "125 late", "told"];
    assert_eq!(all(false)[2..], by_row, "where it is not one batch");
}

#[test]
fn a_run_that_is_stopped_in_the_middle_of_its_batch_goes_on_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let judged = Judged::new(&[100, 40]);
    assert_eq!(judged.run(folder.path(), true, Some(2)), ["100", "40"]);
    judged.come(&[10]);
    let rest = judged.run(folder.path(), true, None);
    let seen = "what was seen is not forgotten";
    assert_eq!(rest, ["10", "closed 100", "behind 99", "told"], "{seen}");
}

#[test]
fn what_was_seen_counts_at_once_where_the_next_run_is_no_batch() {
    let folder = tempfile::tempdir().unwrap();
    let judged = Judged::new(&[100]);
    assert_eq!(judged.run(folder.path(), true, Some(1)), ["100"]);
    judged.come(&[10]);
    let rest = judged.run(folder.path(), false, None);
    assert_eq!(rest, ["closed 100", "behind 99", "10 late", "told"]);
}
