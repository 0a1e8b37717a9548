//! The recorder of a query, and what it shows.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use smol_str::SmolStr;

use super::doings::{Doing, Doings, Overlap};
use super::lane::{LaneRecorder, Names};
use super::slowest::Slow;
use super::watch::STEPS_MAX;
use crate::clock::now;
use crate::record::{Micros, Partition, Position};
use crate::spans::Tracer;

/// The recorders of a query's lanes, and what the query as a whole was doing.
#[derive(Default)]
pub struct QueryRecorder {
    lanes: Mutex<BTreeMap<SmolStr, Arc<LaneRecorder>>>,
    doings: Arc<Mutex<Doings>>,
    /// Where spans go; set before the query runs, where it is traced.
    tracer: OnceLock<Arc<Tracer>>,
}

/// A part of a record's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage<'s> {
    /// From its timestamp to taken: its producer, the broker, and what stood before it.
    Before,
    /// From its bytes in hand to its row.
    Decode,
    /// A step of the query, by name.
    Step(&'s str),
    /// Encoded for the output.
    Write,
    /// All steps and the encoding together, where they were not timed apart; else what is left between them.
    Steps,
    /// From written to acknowledged.
    Deliver,
}

/// A slow record as it is shown.
#[derive(Clone, Debug)]
pub struct ShownRecord {
    /// Where it was read.
    pub partition: Arc<Partition>,
    /// Its position there; None where too many came after it.
    pub position: Option<Position>,
    /// Its own timestamp.
    pub record_time: Option<Micros>,
    /// When it was taken.
    pub taken_at: Micros,
    /// When it was delivered, or done where the output tells no such thing.
    pub delivered_at: Micros,
    /// Microseconds from taken to delivered.
    pub total: u64,
    /// Microseconds from its timestamp to delivered; as `total` where it has none.
    pub whole: u64,
    /// Whether its steps were timed one by one.
    pub timed: bool,
    /// What the engine was doing meanwhile, what holds rows up first.
    pub doings: Vec<Overlap>,
    /// As slow ones of the same moment beside it.
    pub alike: u32,
    decode: u32,
    written: u64,
    delivered: Option<u64>,
    /// Microseconds by step.
    steps: Vec<(SmolStr, u64)>,
    write: u64,
}

impl ShownRecord {
    /// Its time by stage in microseconds, in the order in which they come. What comes after taken adds up to `total`.
    pub fn stages(&self) -> Vec<(Stage<'_>, u64)> {
        let mut stages = Vec::new();
        if self.record_time.is_some() {
            stages.push((Stage::Before, self.whole - self.total));
        }
        stages.push((Stage::Decode, u64::from(self.decode)));
        let steps = self.steps.iter();
        stages.extend(steps.map(|(step, micros)| (Stage::Step(step.as_str()), *micros)));
        let mut rest = self.written;
        if self.timed {
            stages.push((Stage::Write, self.write));
            let steps: u64 = self.steps.iter().map(|(_, micros)| micros).sum();
            rest = rest.saturating_sub(steps + self.write);
        }
        stages.push((Stage::Steps, rest));
        if let Some(delivered) = self.delivered {
            stages.push((Stage::Deliver, delivered));
        }
        stages
    }

    fn of(slow: Slow, names: &Names) -> Option<Self> {
        let partition = Arc::clone(names.partitions.get(slow.reader as usize)?);
        let mut steps: Vec<(SmolStr, u64)> = Vec::new();
        if let Some(times) = &slow.times {
            for (name, tenths) in names.steps.iter().take(STEPS_MAX).zip(times) {
                steps.push((name.clone(), u64::from(*tenths) / 10));
            }
        }
        Some(Self {
            partition,
            record_time: slow.record_time,
            taken_at: slow.taken_at,
            delivered_at: slow.delivered_at,
            total: slow.total(),
            whole: slow.whole(),
            timed: slow.times.is_some(),
            doings: slow.doings.iter().copied().flatten().collect(),
            alike: slow.alike,
            decode: slow.decode,
            written: slow.written,
            delivered: slow.delivered,
            steps,
            write: slow
                .times
                .map_or(0, |times| u64::from(times[STEPS_MAX]) / 10),
            position: slow.position,
        })
    }
}

/// The slowest records of a query, slowest first.
#[derive(Clone, Debug, Default)]
pub struct ShownSlow {
    /// By the time from taken to delivered.
    pub by_total: Vec<ShownRecord>,
    /// By the time since their own timestamps.
    pub by_whole: Vec<ShownRecord>,
}

impl QueryRecorder {
    /// The recorder of the lane with this name; the one it had in an earlier run.
    pub(crate) fn lane(&self, name: &SmolStr) -> Arc<LaneRecorder> {
        let mut lanes = self.lanes.lock();
        let lane = lanes
            .entry(name.clone())
            .or_insert_with(|| Arc::new(LaneRecorder::new(&self.doings)));
        Arc::clone(lane)
    }

    /// Traces sampled records and epochs of the query from its next run on.
    pub fn trace_to(&self, tracer: &Arc<Tracer>) {
        // The first one stays.
        let _ = self.tracer.set(Arc::clone(tracer));
    }

    /// Where spans go.
    pub(crate) fn tracer(&self) -> Option<&Arc<Tracer>> {
        self.tracer.get()
    }

    /// Something begins that is of the whole query.
    pub fn begin(&self, doing: Doing, about: u64) {
        self.doings.lock().begin(doing, now(), about);
    }

    /// It is over; nothing where it has not begun.
    pub fn end(&self, doing: Doing, about: u64) {
        self.doings.lock().end(doing, now(), about);
    }

    /// The run is over, and with it all that was done in it.
    pub(crate) fn over(&self) {
        self.doings.lock().end_all(now());
    }

    /// The slowest of the last minutes, at most so many of each kind. A lane may hold [`super::MINUTES`].
    pub fn slow(&self, minutes: u32, limit: usize) -> ShownSlow {
        let from = now() - Micros::from(minutes) * 60_000_000;
        let mut slow = ShownSlow::default();
        for lane in self.lanes.lock().values() {
            let names = lane.names.lock();
            let (by_total, by_whole) = lane.slowest.lock().since(from);
            let shown = |slow| ShownRecord::of(slow, &names);
            slow.by_total.extend(by_total.into_iter().filter_map(shown));
            slow.by_whole.extend(by_whole.into_iter().filter_map(shown));
        }
        slow.by_total
            .sort_by_key(|record| std::cmp::Reverse(record.total));
        slow.by_whole
            .sort_by_key(|record| std::cmp::Reverse(record.whole));
        slow.by_total.truncate(limit);
        slow.by_whole.truncate(limit);
        slow
    }
}
