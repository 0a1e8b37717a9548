//! Partitions that come after others: a shard that was split, and what it was split into. Memory source, real threads.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Arbiter, System};
use parking_lot::Mutex;
use smol_str::{SmolStr, format_smolstr};
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::store::FolderStore;
use thalweg_engine::error::Failure;
use thalweg_engine::flow::lane::OnError;
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::memory::{MemoryLog, MemorySink, MemorySource};
use thalweg_engine::metrics::Metrics;
use thalweg_engine::plan::{Input, Opened, Plan, Role, Side};
use thalweg_engine::query::{Host, Query, Settings};
use thalweg_engine::record::{Partition, Position};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::source::{RecordStream, Resume, Source, Start};
use thalweg_engine::status::QueryStatus;
use thalweg_engine::workers::Workers;
use tokio::sync::watch;

/// Each partition of a log is the successor of the one before it; all but the last are closed.
struct Generations {
    inner: MemorySource,
    counts: Vec<i64>,
    ended: Mutex<BTreeSet<SmolStr>>,
    /// What was read, and in which order.
    read: Arc<Mutex<Vec<SmolStr>>>,
}

impl Source for Generations {
    fn schema(&self) -> &Schema {
        self.inner.schema()
    }

    fn leave_out(&self, ended: BTreeSet<SmolStr>) {
        *self.ended.lock() = ended;
    }

    fn resolve(&self, resume: Option<&Resume<'_>>) -> Result<Vec<Start>, Failure> {
        let mut starts = self.inner.resolve(resume)?;
        for number in (1..starts.len()).rev() {
            starts[number].after = vec![starts[number - 1].partition.clone()];
        }
        let ended = self.ended.lock();
        starts.retain(|start| !ended.contains(&start.partition));
        // The source may list them in any order.
        starts.reverse();
        Ok(starts)
    }

    fn ends(&self) -> Result<BTreeMap<SmolStr, Position>, Failure> {
        let mut ends = self.inner.ends()?;
        let last = format_smolstr!("rows/{}", self.counts.len() - 1);
        ends.retain(|name, _| *name == last);
        Ok(ends)
    }

    fn read(
        &self,
        partition: &Arc<Partition>,
        from: &Position,
        until: Option<&Position>,
    ) -> Result<RecordStream, Failure> {
        self.read.lock().push(partition.name.clone());
        let number: usize = partition.name.rsplit('/').next().unwrap().parse().unwrap();
        // A closed one ends by itself.
        let count = Position::Number(self.counts[number]);
        self.inner.read(partition, from, until.or(Some(&count)))
    }
}

#[derive(Clone)]
struct Copied {
    log: MemoryLog,
    counts: Vec<i64>,
    sink: MemorySink,
    gathers: bool,
    read: Arc<Mutex<Vec<SmolStr>>>,
}

impl Plan for Copied {
    fn open(&self, _: &str) -> Result<Opened, Failure> {
        Ok(Opened {
            inputs: vec![Input {
                name: "rows".into(),
                entries: vec![Target::Writer],
                role: Role::default(),
                source: Arc::new(Generations {
                    inner: MemorySource::new(&self.log),
                    counts: self.counts.clone(),
                    ended: Mutex::default(),
                    read: Arc::clone(&self.read),
                }),
            }],
            exchanges: Vec::new(),
            sink: Arc::new(self.sink.clone()),
            on_error: OnError::Fail,
        })
    }

    fn steps(&self, _: Side, _: &[(SmolStr, SmolStr)]) -> Vec<Step> {
        Vec::new()
    }

    fn gathers(&self) -> bool {
        self.gathers
    }

    fn identity(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    fn compare(&self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}

impl Copied {
    /// Three generations of two rows each.
    fn new(gathers: bool) -> Self {
        let schema = Schema::new([Field::required("number", DataType::BigInt)]);
        let log = MemoryLog::new("rows", schema, 3);
        for number in 0..6 {
            log.append(number / 2, Ok(vec![Value::BigInt(number as i64)]));
        }
        Self {
            log,
            counts: vec![2; 3],
            sink: MemorySink::default(),
            gathers,
            read: Arc::default(),
        }
    }

    fn out(&self) -> Vec<i64> {
        let number = |row: &Vec<Value>| match row[0] {
            Value::BigInt(number) => number,
            _ => -1,
        };
        self.sink.rows().iter().map(number).collect()
    }

    fn run(&self, folder: &Path) -> Result<(), Failure> {
        let metrics = Metrics::new().query("copied");
        let store = FolderStore::lock(folder).unwrap();
        let mut query = Query {
            job: "job".into(),
            name: "copied".into(),
            plan: Arc::new(self.clone()),
            settings: Settings {
                bounded: true,
                // What waits for an end to be committed does not wait for an interval.
                checkpoint_interval: Duration::from_secs(600),
                ..Settings::default()
            },
            log: Arc::new(CheckpointLog::new(Arc::new(store), 10, true)),
            host: Host {
                arbiters: Vec::new(),
                workers: Workers::pool(),
                budget: Arc::default(),
            },
            status: Arc::new(QueryStatus::new("copied", metrics)),
            group: None,
        };
        let (_tell, told) = watch::channel(false);
        System::new().block_on(async {
            query.host.arbiters.push(Arbiter::new().handle());
            query.run(told).await
        })
    }
}

#[track_caller]
fn generations_are_read_in_order(gathers: bool) {
    let folder = tempfile::tempdir().unwrap();
    let copied = Copied::new(gathers);
    let began = Instant::now();
    copied.run(folder.path()).unwrap();
    assert_eq!(copied.out(), [0, 1, 2, 3, 4, 5]);
    assert!(began.elapsed() < Duration::from_secs(60));
    let log = CheckpointLog::new(Arc::new(FolderStore::read_only(folder.path())), 10, true);
    let newest = log.newest().unwrap().unwrap();
    let mut ended: Vec<(SmolStr, bool)> = newest
        .partitions()
        .map(|cut| (cut.partition.clone(), cut.ended))
        .collect();
    ended.sort();
    let expected: Vec<(SmolStr, bool)> = vec![
        ("rows/0".into(), true),
        ("rows/1".into(), true),
        ("rows/2".into(), false),
    ];
    assert_eq!(ended, expected, "only what is closed has ended for good");
    // The next run reads the last one alone.
    copied.read.lock().clear();
    copied.log.append(2, Ok(vec![Value::BigInt(6)]));
    copied.run(folder.path()).unwrap();
    assert_eq!(copied.out(), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(*copied.read.lock(), [SmolStr::from("rows/2")]);
}

#[test]
fn a_lane_of_each_partition_begins_when_the_end_of_the_one_before_is_committed() {
    generations_are_read_in_order(false);
}

#[test]
fn one_lane_reads_a_partition_when_the_end_of_the_one_before_is_committed() {
    generations_are_read_in_order(true);
}
