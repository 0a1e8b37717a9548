//! An output that becomes visible with its epochs, written by processes that hand lanes on to each other under a seed.
//!
//! A part is a list of rows that whoever has opened it may append to, also when the lane is another's by then. At every moment
//! each row can be seen once at most; at the end all can.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::clock::sleep;
use parking_lot::Mutex;
use serde_json::json;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::sink::{
    LocalFuture, Origin, Prepared, Readiness, Recovered, Sink, TakenOver, Writer, WriterContext,
};

use crate::world::{Dice, World};
use crate::{NEVER, beside, chaos, seeds, simulated};

/// What may be wrong with an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Bug {
    #[default]
    None,
    /// A lane that is taken over is not looked after.
    NothingIsDone,
    /// An open part is shown as it is, and its predecessor has it open.
    SameFile,
    /// What is not named is removed of all lanes.
    OthersToo,
    /// What is not named stays, and is shown.
    LeftoversAreShown,
}

/// The rows of a part, as all see them who have it open.
type Part = Arc<Mutex<Vec<Row>>>;

/// Parts that all processes see: hidden ones by lane and name, visible ones by name.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    hidden: Arc<Mutex<BTreeMap<(String, String), Part>>>,
    visible: Arc<Mutex<BTreeMap<String, Part>>>,
    bug: Bug,
    /// Whether hidden parts lie beside the checkpoints instead, and what is wrong with that.
    pub(crate) beside: Option<beside::Bug>,
}

impl Disk {
    /// One with hidden parts of its own.
    fn hiding(bug: Bug) -> Self {
        Self {
            bug,
            ..Self::default()
        }
    }

    /// One whose hidden parts lie beside the checkpoints.
    pub(crate) fn beside(bug: beside::Bug) -> Self {
        Self {
            beside: Some(bug),
            ..Self::default()
        }
    }

    /// The rows that can be seen.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let visible = self.visible.lock();
        let parts = visible.values();
        parts.flat_map(|part| part.lock().clone()).collect()
    }

    /// Makes a part visible that consists of these rows, whoever does it: where it is visible with others, these are there too.
    pub(crate) fn show(&self, name: &str, rows: Vec<Row>) {
        let mut visible = self.visible.lock();
        let part = visible.entry(name.to_owned()).or_default();
        let mut there = part.lock();
        if *there != rows {
            there.extend(rows);
        }
    }

    fn publish(&self, lane: &str, name: &str) {
        let at = (lane.to_owned(), name.to_owned());
        if let Some(part) = self.hidden.lock().remove(&at) {
            self.visible.lock().insert(name.to_owned(), part);
        }
    }
}

/// What a cut says of a part: its name, how many rows, whether it is complete.
type Named = Vec<(String, usize, bool)>;

/// The output of one run of a process.
pub(crate) struct FileSink {
    pub(crate) disk: Disk,
    pub(crate) dice: Dice,
    pub(crate) run: String,
    pub(crate) next: Arc<Mutex<u64>>,
}

impl Sink for FileSink {
    fn take_over(&self, taken: &TakenOver<'_>) -> Result<Recovered, Failure> {
        let disk = &self.disk;
        if disk.bug == Bug::NothingIsDone {
            return Ok(Recovered::Done);
        }
        for bytes in taken.recovery.prepared.values() {
            let parts: Named = serde_json::from_slice(bytes).expect("what was prepared");
            for (name, rows, complete) in parts {
                if self.dice.below(20) == 0 {
                    return Err(Failure::restart("planted: no room"));
                }
                self.dice.hold();
                let at = (taken.lane.to_owned(), name.clone());
                if let Some(part) = disk.hidden.lock().get_mut(&at) {
                    let mut committed = part.lock().clone();
                    assert!(committed.len() >= rows, "{name} lost committed rows");
                    committed.truncate(rows);
                    if disk.bug == Bug::SameFile {
                        *part.lock() = committed;
                    } else if !complete {
                        *part = Arc::new(Mutex::new(committed));
                    }
                }
                disk.publish(taken.lane, &name);
            }
        }
        let others = disk.bug == Bug::OthersToo;
        let hidden = disk.hidden.lock();
        let found = hidden.keys();
        let found = found.filter(|(lane, _)| others || lane == taken.lane);
        let found: Vec<(String, String)> = found.cloned().collect();
        drop(hidden);
        self.dice.hold();
        if !(taken.owned)() {
            return Ok(Recovered::Done);
        }
        self.dice.hold();
        let mut hidden = disk.hidden.lock();
        let left = found.into_iter();
        let left = left.filter_map(|at| Some((at.clone(), hidden.remove(&at)?)));
        let left: Vec<_> = left.collect();
        drop(hidden);
        if disk.bug == Bug::LeftoversAreShown {
            let shown = left.into_iter().map(|((_, name), part)| (name, part));
            disk.visible.lock().extend(shown);
        }
        Ok(Recovered::Done)
    }

    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        Ok(Box::new(FileWriter {
            disk: self.disk.clone(),
            dice: self.dice.clone(),
            lane: context.lane,
            run: self.run.clone(),
            next: Arc::clone(&self.next),
            staged: Vec::new(),
            open: None,
            complete: Vec::new(),
        }))
    }
}

struct FileWriter {
    disk: Disk,
    dice: Dice,
    lane: String,
    run: String,
    next: Arc<Mutex<u64>>,
    staged: Vec<Row>,
    open: Option<(String, Part)>,
    complete: Vec<(String, usize)>,
}

impl FileWriter {
    fn begin(&self) -> (String, Part) {
        let mut next = self.next.lock();
        *next += 1;
        let (name, part) = (format!("{}-{next}", self.run), Part::default());
        let at = (self.lane.clone(), name.clone());
        self.disk.hidden.lock().insert(at, Arc::clone(&part));
        (name, part)
    }

    fn end(&mut self) {
        let open = self.open.take();
        let ended = open.map(|(name, part)| (name, part.lock().len()));
        self.complete.extend(ended);
    }
}

impl Writer for FileWriter {
    fn write(&mut self, row: &[Value], _: Origin<'_>) -> Result<(), RecordError> {
        self.staged.push(row.to_vec());
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        for row in std::mem::take(&mut self.staged) {
            if self.open.is_none() {
                self.open = Some(self.begin());
            }
            if let Some((_, part)) = &self.open {
                part.lock().push(row);
            }
            if self.dice.below(40) == 0 {
                self.end();
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
        if last || self.dice.below(8) == 0 {
            self.end();
        }
        let hidden = self.disk.hidden.lock();
        let lane = &self.lane;
        self.complete
            .retain(|(name, _)| hidden.contains_key(&(lane.clone(), name.clone())));
        drop(hidden);
        let complete = self.complete.iter();
        let complete = complete.map(|(name, rows)| (name.clone(), *rows, true));
        let open = self.open.iter();
        let open = open.map(|(name, part)| (name.clone(), part.lock().len(), false));
        let named: Named = complete.chain(open).collect();
        let bytes = (!named.is_empty()).then(|| json!(named).to_string().into_bytes());
        let delay = self.dice.millis(30);
        Box::pin(async move {
            sleep(delay).await;
            Ok(bytes.map(Prepared::from))
        })
    }

    fn commit(&mut self, prepared: &[u8]) -> LocalFuture<Result<(), Failure>> {
        let parts: Named = serde_json::from_slice(prepared).expect("what was prepared");
        let (delay, disk, lane) = (self.dice.millis(200), self.disk.clone(), self.lane.clone());
        Box::pin(async move {
            sleep(delay).await;
            for (name, _, _) in parts.iter().filter(|(_, _, complete)| *complete) {
                disk.publish(&lane, name);
            }
            Ok(())
        })
    }
}

/// Members come, go, die and are left behind while they write to this disk.
pub(crate) fn play(world: fn(u64) -> World, seed: u64, disk: Disk) {
    simulated(move || async move {
        println!("seed {seed}");
        let mut world = world(seed + 1);
        world.disk = Some(disk);
        chaos(&mut world, NEVER).await;
    });
}

/// Whether a seed of these finds what is wrong with such disks.
pub(crate) fn is_found(disk: impl Fn() -> Disk) -> bool {
    let play = |seed| play(World::new, seed, disk());
    (0..60).any(|seed| catch_unwind(AssertUnwindSafe(|| play(seed))).is_err())
}

#[test]
fn files_of_lanes_that_are_handed_on_hold_every_row_once() {
    for seed in 0..seeds() {
        play(World::new, seed, Disk::hiding(Bug::None));
    }
}

#[test]
fn files_hold_every_row_once_whatever_is_held_up_in_the_middle() {
    for seed in 0..seeds() / 5 {
        play(World::held_up, seed, Disk::hiding(Bug::None));
    }
}

#[test]
fn a_lane_that_is_taken_over_without_a_look_at_its_files_is_found() {
    assert!(is_found(|| Disk::hiding(Bug::NothingIsDone)));
}

#[test]
fn a_file_that_an_heir_shows_while_its_predecessor_has_it_open_is_found() {
    assert!(is_found(|| Disk::hiding(Bug::SameFile)));
}

#[test]
fn an_heir_that_removes_what_is_of_other_lanes_is_found() {
    assert!(is_found(|| Disk::hiding(Bug::OthersToo)));
}

#[test]
fn leftovers_that_an_heir_shows_are_found() {
    assert!(is_found(|| Disk::hiding(Bug::LeftoversAreShown)));
}
