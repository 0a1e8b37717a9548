//! Stories of a warm-up: what stands before the start builds state, and nothing is written for it, whatever falls when.
#![allow(clippy::unwrap_used)]

#[path = "warm_up/beside.rs"]
mod beside;
mod folder;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actix::{Arbiter, System};
use smol_str::SmolStr;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::error::{Failure, RecordError, Remedy};
use thalweg_engine::flow::lane::{DeadLetters, OnError};
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::memory::{MemoryLog, MemorySink, MemorySource};
use thalweg_engine::metrics::{Metrics, QueryMetrics};
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::plan::{Input, Opened, Plan, Role, Side};
use thalweg_engine::query::{Host, Query, Settings};
use thalweg_engine::record::{Micros, Partition, Position, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::source::{RecordStream, Resume, Source, Start};
use thalweg_engine::state::{Entries, StateChanges};
use thalweg_engine::status::QueryStatus;
use thalweg_engine::workers::Workers;
use tokio::sync::watch;

/// What a change at a trigger is written as, beside the count.
const CHANGED: i64 = -1;

/// A source whose first start is somewhere in its log.
struct From {
    inner: MemorySource,
    start: i64,
    reads_back: bool,
}

impl Source for From {
    fn schema(&self) -> &Schema {
        self.inner.schema()
    }

    fn resolve(&self, resume: Option<&Resume<'_>>) -> Result<Vec<Start>, Failure> {
        let mut starts = self.inner.resolve(resume)?;
        if resume.is_none() {
            for start in &mut starts {
                start.position = Position::Number(self.start);
            }
        }
        Ok(starts)
    }

    fn ends(&self) -> Result<BTreeMap<SmolStr, Position>, Failure> {
        self.inner.ends()
    }

    fn back(&self, starts: &[Start], by: Duration) -> Result<Option<Vec<Position>>, Failure> {
        if self.reads_back {
            self.inner.back(starts, by)
        } else {
            Ok(None)
        }
    }

    fn read(
        &self,
        partition: &Arc<Partition>,
        from: &Position,
        until: Option<&Position>,
    ) -> Result<RecordStream, Failure> {
        self.inner.read(partition, from, until)
    }
}

/// Counts rows, in several parts that all count the same: each is answered with the counts, and at a trigger the first is
/// written when it has changed.
struct Count {
    counts: Vec<i64>,
    /// How many parts the restored state had.
    restored: usize,
    changed: bool,
    tells: bool,
    /// A row that it panics at, once.
    falls_at: Arc<AtomicI64>,
}

impl Operator for Count {
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
        // Slow enough for epochs in between.
        std::thread::sleep(Duration::from_micros(100));
        let planted =
            self.falls_at
                .compare_exchange(number, -1, Ordering::Relaxed, Ordering::Relaxed);
        assert!(planted.is_err(), "planted");
        self.counts.iter_mut().for_each(|count| *count += 1);
        self.changed = true;
        let counts = self.counts.iter().map(|count| Value::BigInt(*count));
        let row: Vec<Value> = row.iter().cloned().chain(counts).collect();
        emit.emit(&row, meta)
    }

    fn tick(
        &mut self,
        _: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        if std::mem::take(&mut self.changed) && self.tells {
            emit.emit(&[Value::BigInt(CHANGED), Value::BigInt(self.counts[0])], at)?;
        }
        Ok(Progress::Done)
    }

    fn save(&mut self) -> Option<StateChanges> {
        let mut entries = Entries::default();
        entries.put(b"count", |bytes| {
            bytes.push(u8::from(self.changed));
            bytes.extend(self.counts.iter().flat_map(|count| count.to_le_bytes()));
        });
        Some(StateChanges {
            whole: true,
            layout: "{}".into(),
            entries,
        })
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        for (_, value) in changes.iter().flat_map(|changes| changes.entries.iter()) {
            let (changed, counts) = value.unwrap().split_first().unwrap();
            self.changed = *changed == 1;
            self.restored = counts.len() / 8;
            for (count, bytes) in self.counts.iter_mut().zip(counts.chunks(8)) {
                *count = i64::from_le_bytes(bytes.try_into().unwrap());
            }
        }
        Ok(())
    }

    fn adopt(&mut self, built: &StateChanges) -> Result<(), Failure> {
        let (restored, kept) = (self.restored, self.counts.clone());
        self.restore(std::slice::from_ref(built))?;
        self.counts[..restored].copy_from_slice(&kept[..restored]);
        Ok(())
    }
}

#[derive(Clone)]
struct Counting {
    /// The steps, one behind the other, each with its number of parts.
    steps: Vec<(&'static str, usize)>,
    log: MemoryLog,
    sink: MemorySink,
    dead: Option<MemorySink>,
    start: i64,
    gathers: bool,
    reads_back: bool,
    falls_at: Arc<AtomicI64>,
}

impl Plan for Counting {
    fn open(&self, _: &str) -> Result<Opened, Failure> {
        Ok(Opened {
            inputs: vec![Input {
                name: "numbers".into(),
                entries: vec![Target::Step { step: 0, input: 0 }],
                role: Role::default(),
                source: Arc::new(From {
                    inner: MemorySource::new(&self.log),
                    start: self.start,
                    reads_back: self.reads_back,
                }),
            }],
            exchanges: Vec::new(),
            sink: Arc::new(self.sink.clone()),
            on_error: match &self.dead {
                None => OnError::Fail,
                Some(dead) => OnError::DeadLetter(DeadLetters {
                    sink: Arc::new(dead.clone()),
                    row: Arc::new(|_, error| vec![error.reason.as_ref().into()]),
                }),
            },
        })
    }

    fn steps(&self, _: Side, _: &[(SmolStr, SmolStr)]) -> Vec<Step> {
        let last = self.steps.len() - 1;
        let steps = self.steps.iter().enumerate();
        let step = |(place, (name, parts)): (usize, &(&'static str, usize))| Step {
            name: SmolStr::new_static(name),
            operator: Box::new(Count {
                counts: vec![0; *parts],
                restored: 0,
                changed: false,
                tells: last == 0 && *parts == 1,
                falls_at: Arc::clone(&self.falls_at),
            }),
            to: if place == last {
                Target::Writer
            } else {
                Target::Step {
                    step: place + 1,
                    input: 0,
                }
            },
        };
        steps.map(step).collect()
    }

    fn gathers(&self) -> bool {
        self.gathers
    }

    fn identity(&self) -> serde_json::Value {
        self.steps.iter().copied().collect()
    }

    fn compare(&self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }

    fn lacks(&self, old: &serde_json::Value) -> Vec<SmolStr> {
        let had = |name: &str| old.get(name).and_then(serde_json::Value::as_u64);
        let steps = self.steps.iter();
        let lacking = steps.filter(|(name, parts)| had(name) < Some(*parts as u64));
        lacking.map(|(name, _)| SmolStr::new_static(name)).collect()
    }
}

impl Counting {
    /// Partitions of `count` rows, numbered 0.., 1000.. and so on, started at `start`.
    fn of(partitions: i64, count: i64, start: i64) -> Self {
        let schema = Schema::new([Field::required("number", DataType::BigInt)]);
        let log = MemoryLog::new("numbers", schema, partitions as usize);
        for partition in 0..partitions {
            for number in 0..count {
                let number = Value::BigInt(partition * 1_000 + number);
                log.append(partition as usize, Ok(vec![number]));
            }
        }
        Self {
            steps: vec![("count", 1)],
            log,
            sink: MemorySink::default(),
            dead: None,
            start,
            gathers: true,
            reads_back: true,
            falls_at: Arc::new(AtomicI64::new(-1)),
        }
    }

    fn run(&self, folder: &Path, warm_up: u64) -> (Result<(), Failure>, Arc<QueryMetrics>) {
        let metrics = Metrics::new().query("counting");
        let query = Query {
            job: "job".into(),
            name: "counting".into(),
            plan: Arc::new(self.clone()),
            settings: Settings {
                bounded: true,
                checkpoint_interval: Duration::from_millis(3),
                warm_up: Some(Duration::from_micros(warm_up)),
                ..Settings::default()
            },
            log: Arc::new(CheckpointLog::new(
                Arc::new(folder::locked(folder)),
                10,
                true,
            )),
            host: Host {
                arbiters: Vec::new(),
                workers: Workers::pool(),
                budget: Arc::default(),
            },
            status: Arc::new(QueryStatus::new("counting", Arc::clone(&metrics))),
            group: None,
        };
        let (_tell, told) = watch::channel(false);
        // The coordinator has a thread of its own, so that epochs are committed while rows are read.
        let ended = System::new().block_on(async {
            let mut query = query;
            query.host.arbiters.push(Arbiter::new().handle());
            query.run(told).await
        });
        (ended, metrics)
    }

    /// Number and count of each row that was written.
    fn out(&self) -> Vec<(i64, i64)> {
        let number = |value: &Value| match value {
            Value::BigInt(number) => *number,
            other => panic!("{other:?}"),
        };
        let rows = self.sink.rows();
        rows.iter()
            .map(|row| (number(&row[0]), number(&row[1])))
            .collect()
    }
}

#[test]
fn rows_before_the_start_are_counted_and_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let counting = Counting::of(1, 10, 6);
    let (ended, metrics) = counting.run(folder.path(), 4);
    ended.unwrap();
    assert_eq!(
        counting.out(),
        [(6, 5), (7, 6), (8, 7), (9, 8), (CHANGED, 8)]
    );
    assert_eq!(
        (metrics.records_in.get(), metrics.records_out.get()),
        (8, 5)
    );
    assert_eq!(metrics.warm_up_left.get(), 0);
}

#[test]
fn what_a_trigger_would_say_of_the_rows_before_the_start_is_never_said() {
    let folder = tempfile::tempdir().unwrap();
    let counting = Counting::of(2, 10, 10);
    counting.run(folder.path(), 4).0.unwrap();
    assert_eq!(counting.out(), []);
    counting.log.append(1, Ok(vec![Value::BigInt(77)]));
    // A second run goes on from the checkpoint and warms nothing up.
    counting.run(folder.path(), 1_000).0.unwrap();
    assert_eq!(counting.out(), [(77, 9), (CHANGED, 9)]);
}

#[test]
fn a_partition_that_has_arrived_waits_for_the_others_of_its_lane() {
    let folder = tempfile::tempdir().unwrap();
    let counting = Counting::of(3, 120, 60);
    // More rows than one turn of reading takes stand before the starts.
    counting.run(folder.path(), 50).0.unwrap();
    let counts: Vec<i64> = counting.out().iter().map(|(_, count)| *count).collect();
    let expected: Vec<i64> = (151..=330).chain([330]).collect();
    assert_eq!(counts, expected);
}

#[test]
fn lanes_of_one_partition_each_warm_up_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let counting = Counting {
        gathers: false,
        ..Counting::of(2, 10, 8)
    };
    counting.run(folder.path(), 3).0.unwrap();
    let out: BTreeSet<(i64, i64)> = counting.out().into_iter().collect();
    let expected = [(8, 4), (9, 5), (1_008, 4), (1_009, 5), (CHANGED, 5)];
    assert_eq!(out, expected.into_iter().collect());
}

#[test]
fn a_crash_in_the_middle_changes_nothing() {
    const COUNT: i64 = 150;
    const START: i64 = 100;
    for falls_at in (10..COUNT).step_by(13).flat_map(|row| [row, row + 1_000]) {
        let folder = tempfile::tempdir().unwrap();
        let counting = Counting::of(2, COUNT, START);
        counting.falls_at.store(falls_at, Ordering::Relaxed);
        let (ended, metrics) = counting.run(folder.path(), 95);
        ended.unwrap();
        let fell = u64::from(falls_at % 1_000 >= START - 95);
        assert_eq!(metrics.restarts.get(), fell, "{falls_at}");
        let out = counting.out();
        let warm = 2 * 95;
        let rows: BTreeSet<i64> = out.iter().map(|(row, _)| *row).collect();
        let expected = (START..COUNT).flat_map(|row| [row, row + 1_000]);
        assert_eq!(rows, expected.chain([CHANGED]).collect(), "{falls_at}");
        for (row, count) in &out {
            assert!(*count > warm, "{row} is answered with {count}");
        }
        let all = warm + 2 * (COUNT - START);
        assert_eq!(out.last(), Some(&(CHANGED, all)), "{falls_at}");
    }
}

#[test]
fn bad_rows_before_the_start_are_no_dead_letters() {
    let folder = tempfile::tempdir().unwrap();
    let mut counting = Counting::of(1, 0, 2);
    let dead = MemorySink::default();
    counting.dead = Some(dead.clone());
    for entry in [Ok(1), Err("before"), Ok(3), Err("behind")] {
        let entry = entry.map(|number| vec![Value::BigInt(number)]);
        counting.log.append(0, entry.map_err(RecordError::decode));
    }
    let (ended, metrics) = counting.run(folder.path(), 2);
    ended.unwrap();
    assert_eq!(counting.out(), [(3, 2), (CHANGED, 2)]);
    assert_eq!(dead.rows(), [vec![Value::from("behind")]]);
    assert_eq!(metrics.dead_letters.get(), 1);
}

#[test]
fn an_input_that_cannot_be_read_back_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let counting = Counting {
        reads_back: false,
        ..Counting::of(1, 10, 6)
    };
    let failure = counting.run(folder.path(), 4).0.unwrap_err();
    assert_eq!(failure.remedy, Remedy::Refuse);
    assert!(failure.message.contains("`numbers`"), "{failure}");
    assert_eq!(counting.out(), []);
}
