//! An output that becomes visible with its epochs, under a seed: parts that grow while epochs pass, crashes at any moment.
//!
//! A part takes rows in memory of the simulated disk; only what a `prepare` has made safe is there after a crash, and some of
//! what came after it. At every moment what is visible is committed and there once; at the end all is visible, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::clock::sleep;
use parking_lot::Mutex;
use serde_json::json;
use thalweg_engine::epoch::checkpoint::Checkpoint;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::record::Position;
use thalweg_engine::row::Value;
use thalweg_engine::sink::{
    LocalFuture, Origin, Prepared, Readiness, Recovered, Recovery, Sink, Writer, WriterContext,
};

use super::{Bug, Simulation, World, counting, quiet, seeds};

/// A row: its partition, its number, and what was counted.
type Row = (i64, i64, i64);

/// Parts on the simulated disk, by name.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    hidden: Arc<Mutex<BTreeMap<String, Vec<Row>>>>,
    visible: Arc<Mutex<BTreeMap<String, Vec<Row>>>>,
}

impl Disk {
    /// How often each row can be seen.
    pub(crate) fn seen(&self) -> BTreeMap<Row, u32> {
        let mut seen = BTreeMap::new();
        for row in self.visible.lock().values().flatten() {
            *seen.entry(*row).or_default() += 1;
        }
        seen
    }

    fn publish(&self, name: &str) {
        if let Some(rows) = self.hidden.lock().remove(name) {
            self.visible.lock().insert(name.to_owned(), rows);
        }
    }
}

/// What a cut says of a part: its name, how many rows, whether it is complete.
type Named = Vec<(String, usize, bool)>;

/// The output of one run.
pub(crate) struct FileSink {
    world: World,
    disk: Disk,
    run: String,
    next: Arc<Mutex<u64>>,
    closed: Arc<AtomicBool>,
}

impl FileSink {
    pub(crate) fn new(world: &World, run: &str) -> Self {
        Self {
            world: world.clone(),
            disk: world.disk.clone(),
            run: run.to_owned(),
            next: Arc::default(),
            closed: Arc::default(),
        }
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        self.close();
    }
}

impl Sink for FileSink {
    fn recover(&self, recovery: &Recovery<'_>) -> Result<Recovered, Failure> {
        let mut named: BTreeSet<String> = BTreeSet::new();
        for bytes in recovery.prepared.values() {
            let parts: Named = serde_json::from_slice(bytes).expect("what was prepared");
            for (name, rows, _) in parts {
                if self.world.fault(20) {
                    return Err(Failure::restart("planted: no room"));
                }
                if let Some(part) = self.disk.hidden.lock().get_mut(&name) {
                    assert!(part.len() >= rows, "{name} lost committed rows");
                    part.truncate(rows);
                }
                self.disk.publish(&name);
                named.insert(name);
            }
        }
        if self.world.bug != Bug::LeftoversStay {
            self.disk.hidden.lock().clear();
        } else {
            let left = std::mem::take(&mut *self.disk.hidden.lock());
            self.disk.visible.lock().extend(left);
        }
        Ok(Recovered::Done)
    }

    fn open(&self, _: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        Ok(Box::new(FileWriter {
            world: self.world.clone(),
            disk: self.disk.clone(),
            run: self.run.clone(),
            next: Arc::clone(&self.next),
            closed: Arc::clone(&self.closed),
            staged: Vec::new(),
            open: None,
            complete: Vec::new(),
        }))
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

struct FileWriter {
    world: World,
    disk: Disk,
    run: String,
    next: Arc<Mutex<u64>>,
    closed: Arc<AtomicBool>,
    staged: Vec<Row>,
    open: Option<(String, usize)>,
    complete: Vec<(String, usize)>,
}

impl Writer for FileWriter {
    fn write(&mut self, row: &[Value], _: Origin<'_>) -> Result<(), RecordError> {
        let number = |place: usize| match row.get(place) {
            Some(Value::BigInt(number)) => *number,
            _ => -1,
        };
        if counting::window(number(1)).is_none() && counting::fails(number(2)) {
            return Err(RecordError::write("planted: never"));
        }
        self.staged.push((number(0), number(1), number(3)));
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        if self.world.fault(900) {
            return Err(Failure::restart("planted: the disk failed"));
        }
        for row in std::mem::take(&mut self.staged) {
            let (name, rows) = self.open.get_or_insert_with(|| {
                let mut next = self.next.lock();
                *next += 1;
                (format!("{}-{next}", self.run), 0)
            });
            *rows += 1;
            let mut hidden = self.disk.hidden.lock();
            hidden.entry(name.clone()).or_default().push(row);
            drop(hidden);
            if self.world.dice.one_in(40) {
                self.complete.extend(self.open.take());
            }
        }
        Ok(Readiness::Ready)
    }

    fn reject(&mut self) {
        self.staged.clear();
    }

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn prepare(&mut self, last: bool) -> LocalFuture<Result<Option<Prepared>, Failure>> {
        if last || self.world.dice.one_in(5) {
            self.complete.extend(self.open.take());
        }
        if self.world.bug != Bug::NamedOnlyOnce {
            let hidden = self.disk.hidden.lock();
            self.complete.retain(|(name, _)| hidden.contains_key(name));
        }
        let complete = self.complete.iter().map(|(name, rows)| (name, rows, true));
        let open = self.open.iter().map(|(name, rows)| (name, rows, false));
        let named: Vec<_> = complete.chain(open).collect();
        let bytes = (!named.is_empty()).then(|| json!(named).to_string().into_bytes());
        if self.world.bug == Bug::NamedOnlyOnce {
            self.complete.clear();
        }
        let (delay, fails) = (self.world.dice.millis(30), self.world.fault(80));
        Box::pin(async move {
            sleep(delay).await;
            if fails {
                return Err(Failure::restart("planted: the disk failed"));
            }
            Ok(bytes.map(Prepared::from))
        })
    }

    fn commit(&mut self, prepared: &[u8]) -> LocalFuture<Result<(), Failure>> {
        let parts: Named = serde_json::from_slice(prepared).expect("what was prepared");
        let (delay, fails) = (self.world.dice.millis(30), self.world.fault(60));
        let (disk, closed) = (self.disk.clone(), Arc::clone(&self.closed));
        let early = self.world.bug == Bug::OpenPartsAreShown;
        Box::pin(async move {
            sleep(delay).await;
            if closed.load(Ordering::Relaxed) {
                return Ok(());
            }
            for (name, _, complete) in parts {
                if complete || early {
                    disk.publish(&name);
                }
            }
            if fails {
                return Err(Failure::restart("planted: a rename failed"));
            }
            Ok(())
        })
    }
}

impl Simulation {
    /// With an output that becomes visible with its epochs.
    fn run_with_files(seed: u64, bug: Bug) -> Result<(), String> {
        let mut simulation = Self::new(seed, bug);
        simulation.files = true;
        simulation.play(seed)
    }

    /// What is visible is there once, and before a committed position.
    pub(crate) fn expect_committed(&self, newest: Option<&Checkpoint>) -> Result<(), String> {
        let mut committed = BTreeMap::new();
        for cut in newest.into_iter().flat_map(Checkpoint::partitions) {
            let partition: i64 = cut.partition.as_str()["in/".len()..].parse().unwrap();
            if let Position::Number(position) = cut.position {
                committed.insert(partition, self.first(partition) + position);
            }
        }
        for ((partition, number, _), times) in self.world.disk.seen() {
            if times > 1 {
                return Err(format!(
                    "row {number} of in/{partition} is visible {times} times"
                ));
            }
            let end = committed.get(&partition).copied().unwrap_or(0);
            if counting::window(number).is_none() && number >= end {
                return Err(format!(
                    "row {number} of in/{partition} is visible, and committed is what stands before {end}"
                ));
            }
        }
        Ok(())
    }
}

#[test]
fn files_hold_every_row_once_whatever_fails() {
    quiet();
    for seed in seeds(300) {
        if let Err(violation) = Simulation::run_with_files(seed, Bug::None) {
            panic!("{violation}");
        }
    }
}

#[test]
fn files_that_an_epoch_names_only_once_are_found() {
    quiet();
    assert!((0..100).any(|seed| Simulation::run_with_files(seed, Bug::NamedOnlyOnce).is_err()));
}

#[test]
fn files_that_no_checkpoint_names_and_that_stay_are_found() {
    quiet();
    assert!((0..100).any(|seed| Simulation::run_with_files(seed, Bug::LeftoversStay).is_err()));
}

#[test]
fn files_that_are_shown_before_they_are_complete_are_found() {
    quiet();
    assert!((0..100).any(|seed| Simulation::run_with_files(seed, Bug::OpenPartsAreShown).is_err()));
}
